"""The spellings of a path that clients use, brought to one: the table of routes knows one.

``/v1`` may be left out, one slash may end a path, and old clients add ``.json``.
Nothing is redirected: clients do not follow redirects.
"""

from __future__ import annotations

from werkzeug.datastructures import EnvironHeaders

from api.errors import RouterError
from api.versions import asked_for, negotiate

JSON_SUFFIX_UNTIL = 91
# Not below /v1: they are about all of it.
_ABOUT_ALL = frozenset({"/docs", "/openapi.json", "/healthz", "/readyz", "/metrics"})


def normal(path: str, headers: EnvironHeaders) -> str:
    """The path as the routes spell it."""
    if len(path) > 1:
        path = path.removesuffix("/")
    if path in _ABOUT_ALL:
        return path
    if path.endswith(".json") and _takes_suffix(headers):
        path = path.removesuffix(".json")
    if path in ("", "/"):
        return "/"
    return path if path == "/v1" or path.startswith("/v1/") else f"/v1{path}"


def _takes_suffix(headers: EnvironHeaders) -> bool:
    if asked_for(headers) is None:
        return False
    try:
        return negotiate(headers) < JSON_SUFFIX_UNTIL
    except RouterError:
        return False
