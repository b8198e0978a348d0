"""The head of an HTTP/1.x request as text, checked strictly (RFC 9110, 9112).

Pure: bytes in, a Head or a BadHead out. Which methods and paths are served is not
decided here. Bodies are not read: nothing that we serve has one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from drophammer.errors import Forbidden
from netboot.content import clean_path

MAX_HEAD = 8192
MAX_TARGET = 4096
MAX_FIELDS = 64
MAX_QUERY_FIELDS = 64

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class BadHead(Exception):
    """A request which cannot be understood; ``answer`` is the status for it."""

    def __init__(self, answer: int, message: str) -> None:
        super().__init__(message)
        self.answer = answer
        self.message = message


@dataclass(frozen=True)
class Head:
    """A request: ``path`` is decoded and clean, names of ``fields`` are in lower case.

    ``keep_alive`` says whether the client and the message allow another request on
    the same connection.
    """

    method: str
    path: str
    query: Mapping[str, str]
    fields: Mapping[str, str]
    keep_alive: bool


def parse_head(data: bytes) -> Head:
    """Read a head, given without its empty line; raises BadHead."""
    lines = data.split(b"\r\n")
    if len(lines) > MAX_FIELDS:
        raise BadHead(431, f"Send at most {MAX_FIELDS} header fields.")
    method, target, minor = _request_line(lines[0])
    fields = _fields(lines[1:])
    if minor == 1 and "host" not in fields:
        raise BadHead(400, "HTTP/1.1 requires a Host field.")
    path, query = _target(target)
    return Head(method, path, query, fields, _keep_alive(minor, fields))


def _request_line(line: bytes) -> tuple[str, str, int]:
    if len(line) > MAX_TARGET:
        raise BadHead(414, f"The URL is longer than {MAX_TARGET} bytes; ask with a shorter one.")
    found = _REQUEST_LINE.fullmatch(line)
    if not found:
        raise BadHead(400, "The request line is not one of HTTP/1.0 or HTTP/1.1.")
    method, target, minor = found.groups()
    return method.decode(), target.decode(), int(minor)


def _fields(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if not found:
            raise BadHead(400, "A header field is malformed.")
        name, value = found[1].decode().lower(), found[2].decode("latin-1").strip()
        if name in fields and name in ("host", "content-length", "transfer-encoding"):
            raise BadHead(400, f"There are two {name} fields.")
        # RFC 9110, section 5.3: several of one name are one list.
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of an origin-form or absolute-form target (RFC 9112, section 3.2)."""
    try:
        # Not urlsplit for "//x": that would take x for a host.
        parts = urlsplit(f"http://host{target}" if target.startswith("/") else target)
    except ValueError:
        raise BadHead(400, "The URL is malformed.") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadHead(400, "Ask for a path that begins with '/'.")
    try:
        query = dict(
            parse_qsl(
                parts.query,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_QUERY_FIELDS,
            )
        )
        return _path(parts.path), query
    except UnicodeDecodeError:
        raise BadHead(400, "The URL is not UTF-8.") from None
    except ValueError:
        raise BadHead(400, "The query of the URL has too many fields.") from None
    except Forbidden as error:
        raise BadHead(400, error.message) from None


def _path(raw: str) -> str:
    path = unquote_to_bytes(raw).decode("utf-8")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in path):
        raise BadHead(400, "The path has control characters in it.")
    return clean_path(path)


def _keep_alive(minor: int, fields: Mapping[str, str]) -> bool:
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        # A body follows, and is not read: what comes after it cannot be told from it.
        return False
    wishes = {wish.strip().lower() for wish in fields.get("connection", "").split(",")}
    return "close" not in wishes if minor == 1 else "keep-alive" in wishes
