"""The one place that turns failures into responses.

Three shapes exist on the wire and clients parse each: what a handler refuses
(faultstring), what the router refuses (title and description), both as JSON text
inside ``error_message``, and what the body guard refuses (bare faultstring).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy.exc import SQLAlchemyError, StatementError
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from api.reply import Reply
from drophammer import outage
from drophammer.errors import DrophammerError

LOG = logging.getLogger(__name__)


class RouterError(Exception):
    """A refusal before any handler ran: no such path, method or version."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


class BodyRefused(Exception):
    """A body too large or too deeply nested to be looked at."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Unauthorized(Exception):
    """The credentials do not do. Told in HTTP basic's own shape."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def reply(error: Exception, request_id: str) -> Reply:
    """What a failure is answered with. What is the service's own fault is logged."""
    match error:
        case DrophammerError():
            return fault(error.status, error.message)
        case RouterError():
            return _router(error)
        case BodyRefused():
            return Reply(error.status, {"faultcode": "Client", "faultstring": error.message})
        case Unauthorized():
            return _unauthorized(error)
        case HTTPException():
            return _werkzeug(error)
        case SQLAlchemyError():
            return _database(error, request_id)
        case _:
            return _unexpected(error, request_id)


def fault(status: int, message: str) -> Reply:
    """An error reply in the shape of a handler's refusal."""
    code = "Client" if status < 500 else "Server"
    inner = {"faultcode": code, "faultstring": message, "debuginfo": None}
    return Reply(status, {"error_message": json.dumps(inner)})


def _router(error: RouterError, headers: Mapping[str, str] = MappingProxyType({})) -> Reply:
    title = HTTP_STATUS_CODES.get(error.status, "Error")
    inner = {"code": error.status, "title": title, "description": error.description}
    return Reply(error.status, {"error_message": json.dumps(inner)}, headers)


def _unauthorized(error: Unauthorized) -> Reply:
    body = {"error": {"message": error.message, "code": error.status}}
    asks = {"WWW-Authenticate": 'Basic realm="Baremetal API"'} if error.status == 401 else {}
    return Reply(error.status, body, asks)


def _werkzeug(error: HTTPException) -> Reply:
    status = error.code or 500
    texts = {
        404: "The resource could not be found.",
        405: "The method is not allowed for this resource.",
    }
    allowed = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    return _router(RouterError(status, texts.get(status, error.description or error.name)), allowed)


def _database(error: SQLAlchemyError, request_id: str) -> Reply:
    known = outage.told(error)
    if known is None:
        return _unexpected(error, request_id)
    LOG.error("%s: %s %s", request_id, known.message, getattr(error, "orig", error))
    return fault(known.status, known.message)


def _unexpected(error: Exception, request_id: str) -> Reply:
    if isinstance(error, StatementError):
        # What was to be written may hold passwords; the traceback would show it.
        error.hide_parameters = True
    LOG.error("%s: unexpected failure", request_id, exc_info=error)
    return fault(500, f"The service failed unexpectedly; its log has the details of {request_id}.")
