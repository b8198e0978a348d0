"""What an HTTP answer to a GET or HEAD is: status, fields, which bytes (RFC 9110).

Pure. Knows ranges (section 14) and conditions (section 13); sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus

from netboot.content import Opened

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.ASCII | re.I)


@dataclass(frozen=True)
class Answer:
    """``start`` and ``length`` choose the bytes of the content that are the body."""

    status: int
    fields: Mapping[str, str]
    start: int = 0
    length: int = 0


def answer(asked: Mapping[str, str], opened: Opened, *, ranges: bool) -> Answer:
    """The answer with this content; ``asked`` are the fields of the request.

    ``ranges`` is false for HEAD, for which RFC 9110 defines no ranges.
    """
    fields = {"Content-Type": opened.media_type, **_validators(opened)}
    if _not_modified(asked, fields):
        del fields["Content-Type"]
        return Answer(304, fields)
    fields["Accept-Ranges"] = "bytes"
    if ranges and "range" in asked and _range_applies(asked, fields):
        part = _part(asked["range"], opened.size)
        if part is None:
            return Answer(416, {"Content-Range": f"bytes */{opened.size}"})
        start, length = part
        if start >= 0:
            fields["Content-Range"] = f"bytes {start}-{start + length - 1}/{opened.size}"
            return Answer(206, fields, start, length)
    return Answer(200, fields, 0, opened.size)


def refusal_fields(status: int) -> dict[str, str]:
    """The fields of an answer whose body is a sentence for people."""
    fields = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    if status == 405:
        fields["Allow"] = "GET, HEAD"
    if status == 503:
        fields["Retry-After"] = "5"
    return fields


def head_bytes(status: int, fields: Mapping[str, str], length: int, *, close: bool) -> bytes:
    """The head of a response, with its empty line."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"Date: {formatdate(usegmt=True)}"]
    if status != 304:
        lines += [f"Content-Length: {length}"]
    lines += [f"Connection: {'close' if close else 'keep-alive'}", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _validators(opened: Opened) -> dict[str, str]:
    if opened.data is not None:
        # Made for this machine and this moment: nobody may keep it.
        return {"Cache-Control": "no-store"}
    return {
        "ETag": f'"{opened.modified_ns:x}-{opened.size:x}"',
        "Last-Modified": formatdate(opened.modified_ns // 10**9, usegmt=True),
    }


def _not_modified(asked: Mapping[str, str], fields: Mapping[str, str]) -> bool:
    if "ETag" not in fields:
        return False
    if "if-none-match" in asked:
        tags = [tag.strip().removeprefix("W/") for tag in asked["if-none-match"].split(",")]
        return "*" in tags or fields["ETag"] in tags
    if "if-modified-since" in asked:
        try:
            since = parsedate_to_datetime(asked["if-modified-since"])
            return parsedate_to_datetime(fields["Last-Modified"]).timestamp() <= since.timestamp()
        except (ValueError, OverflowError):
            return False
    return False


def _range_applies(asked: Mapping[str, str], fields: Mapping[str, str]) -> bool:
    """If-Range: a part only of the same file, otherwise the whole (RFC 9110, 13.1.5)."""
    condition = asked.get("if-range")
    return condition is None or condition in (fields.get("ETag"), fields.get("Last-Modified"))


def _part(text: str, size: int) -> tuple[int, int] | None:
    """(start, length) of a single range; start -1 to ignore it, None if it cannot be had."""
    found = _RANGE.fullmatch(text)
    if not found or found.groups() == ("", ""):
        # Several ranges, other units, nonsense: a server may always send the whole.
        return -1, 0
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else None
    start = int(first)
    if last and int(last) < start:
        return -1, 0
    end = min(int(last), size - 1) if last else size - 1
    return (start, end - start + 1) if start < size else None
