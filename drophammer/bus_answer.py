"""The serving side of a call: which method it is, whether its arguments fit, what comes of it.

The same for every bus. ``asked()`` tells the work behind a method which request it
answers, so that an operation can be known by it.
"""

from __future__ import annotations

import datetime
import inspect
import logging
import types
import typing
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from drophammer import errors, outage, trace
from drophammer.model import new_uuid

LOG = logging.getLogger(__name__)
Type = type[Any] | tuple[type[Any], ...]


@dataclass(frozen=True)
class Request:
    """One request to a role: its UUID, and until when it may be begun (None: as late as it likes).

    ``until`` is by the clock of the store, ``trace`` the API's id of what led to it.
    """

    uuid: str
    until: datetime.datetime | None = None
    trace: str = ""

    def check(self, now: datetime.datetime) -> None:
        """Raise Unavailable when it is too late: whoever asked has been told so by now."""
        if self.until is not None and now > self.until:
            late = (now - self.until).total_seconds()
            raise errors.Unavailable(
                f"The request was taken up {late:.1f} s too late and nothing has been done; send "
                "it again."
            )


_ASKED: ContextVar[Request | None] = ContextVar("asked", default=None)


def asked() -> Request:
    """The request that this thread answers; a new one where nobody has asked."""
    return _ASKED.get() or Request(new_uuid())


def answer(
    endpoint: object, method: str, arguments: Mapping[str, Any], request: Request
) -> dict[str, Any]:
    """Run a method of an endpoint; the result or the error as plain JSON."""
    function: Callable[..., Any] | None = None
    if not method.startswith("_"):
        function = getattr(endpoint, method, None)
    if not callable(function):
        return _error(errors.Unsupported(f"The bus method {method!r} does not exist."))
    misfit = _misfit(function, arguments)
    if misfit:
        LOG.warning("refused a call of %s: %s", method, misfit)
        return _error(errors.Invalid(f"The bus method {method!r} was called wrongly: {misfit}."))
    token = _ASKED.set(request)
    try:
        with trace.carried(request.trace):
            return {"result": function(**arguments)}
    except errors.DrophammerError as error:
        return _error(error)
    except Exception as error:
        outage.log(LOG, error, "bus method %s failed", method)
        known = outage.told(error) if isinstance(error, SQLAlchemyError) else None
        text = f"The service failed unexpectedly in {method}; its log has the details."
        return _error(known or errors.DrophammerError(text))
    finally:
        _ASKED.reset(token)


def _error(error: errors.DrophammerError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": error.message}


def _misfit(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """Why ``function`` cannot be called with ``arguments``; empty when it can."""
    signature, kinds = _contract(getattr(function, "__func__", function))
    # A method's own contract counts its object, which is no argument.
    bound = (None,) if inspect.ismethod(function) else ()
    try:
        signature.bind(*bound, **arguments)
    except TypeError as error:
        return str(error)
    for name, value in arguments.items():
        kind = kinds.get(name)
        if kind is not None and not _is(value, kind):
            return f"{name} is a {type(value).__name__}"
    return ""


@lru_cache(maxsize=512)
def _contract(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Type]]:
    """Which arguments a function takes, and of which JSON type those are that say so."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # Names that are only there for a type checker.
        hints = {}
    kinds = {name: _json_type(hint) for name, hint in hints.items() if name != "return"}
    return inspect.signature(function), {
        name: kind for name, kind in kinds.items() if kind is not None
    }


def _json_type(hint: Any) -> Type | None:
    """The classes that JSON has for a hint, or None where anything may be."""
    if hint is float:
        return (int, float)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        parts = [_json_type(part) for part in typing.get_args(hint)]
        if None in parts:
            return None
        return tuple(
            one for part in parts for one in (part if isinstance(part, tuple) else (part,)) if one
        )
    plain = typing.get_origin(hint) or hint
    if plain in (Mapping, dict):
        return dict
    return plain if plain in (str, int, bool, list, type(None)) else None


def _is(value: object, kind: Type) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds)
