"""The one place that turns failures into responses.

Three shapes exist on the wire and clients parse each: what a handler refuses
(faultstring), what the router refuses (title and description), both as JSON text
inside ``error_message``, and what the body guard refuses (bare faultstring).
"""

from __future__ import annotations

import json
import logging
import sqlite3

from flask import Flask, Response, g, request
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from api import absent
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


def install(app: Flask) -> None:
    """Let ``app`` answer every failure through the functions below."""
    app.register_error_handler(DrophammerError, _refused)
    app.register_error_handler(RouterError, _router)
    app.register_error_handler(BodyRefused, _body)
    app.register_error_handler(HTTPException, _werkzeug)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(PoolTimeout, _no_database)
    app.register_error_handler(Exception, _unexpected)


def fault(status: int, message: str) -> Response:
    """An error response in the shape of a handler's refusal."""
    code = "Client" if status < 500 else "Server"
    inner = {"faultcode": code, "faultstring": message, "debuginfo": None}
    return answer(status, {"error_message": json.dumps(inner)})


def answer(status: int, body: object) -> Response:
    """A JSON response."""
    return Response(json.dumps(body), status=status, mimetype="application/json")


def _refused(error: DrophammerError) -> Response:
    return fault(error.status, error.message)


def _router(error: RouterError) -> Response:
    title = HTTP_STATUS_CODES.get(error.status, "Error")
    inner = {"code": error.status, "title": title, "description": error.description}
    return answer(error.status, {"error_message": json.dumps(inner)})


def _body(error: BodyRefused) -> Response:
    return answer(error.status, {"faultcode": "Client", "faultstring": error.message})


def _werkzeug(error: HTTPException) -> Response:
    status = error.code or 500
    texts = {
        404: absent.missing(request.path),
        405: "The method is not allowed for this resource.",
    }
    response = _router(RouterError(status, texts.get(status, error.description or error.name)))
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _database(error: OperationalError) -> Response:
    # sqlite calls nearly everything an operational error; a lock is only one of them.
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None or code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _no_database(error)
    LOG.error("%s: the database failed: %s", g.get("request_id"), error.orig)
    return fault(
        503, f"The database failed; the service's log has the details of {g.get('request_id')}."
    )


def _no_database(error: Exception) -> Response:
    cause = error.orig if isinstance(error, OperationalError) else error
    LOG.error("%s: the database did not answer: %s", g.get("request_id"), cause)
    return fault(503, "The database did not answer in time; try again in a moment.")


def _unexpected(error: Exception) -> Response:
    if isinstance(error, StatementError):
        # What was to be written may hold passwords; the traceback would show it.
        error.hide_parameters = True
    LOG.error("%s: unexpected failure", g.get("request_id"), exc_info=error)
    return fault(
        500, f"The service failed unexpectedly; its log has the details of {g.get('request_id')}."
    )
