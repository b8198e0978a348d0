"""Reads JSON bodies: limited in size, depth and parts, and free of what no database can hold.

The content type is not looked at, as clients get it wrong. What the values mean is
checked against the schemas of the nouns.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import IO, Any

from api.errors import BodyRefused
from drophammer.errors import Invalid

MAX_DEPTH = 25
MAX_PARTS = 50_000
# How much longer than the limit on parts the search for them goes on: texts are found too.
_TEXTS_PER_PART = 4
# A whole text, closed or not (then no JSON parser gets beyond it either), or what starts a part.
# Possessive, so that no text makes the search go back.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[,\[{]', re.DOTALL)
_ESCAPE = b"\\u"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def read(
    stream: IO[bytes],
    length: int | None,
    limit: int,
    *,
    parts: int = MAX_PARTS,
    repair: bool = False,
) -> Any:
    """The parsed body, None when there is none.

    ``limit`` is bytes, ``parts`` how many objects, lists and items there may be.
    ``repair`` replaces characters that cannot be stored, for texts that come from
    firmware and not from people. Raises BodyRefused (413 too large, 400 too deep or
    too many parts) and Invalid.
    """
    if length is not None and length > limit:
        raise _too_large(limit)
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise _too_large(limit)
    if not data.strip():
        return None
    _check_parts(data, parts)
    document = _parse(data)
    check_depth(document)
    if _ESCAPE not in data:
        # What no database can hold can only have been written so.
        return document
    return _repaired(document) if repair else _checked(document)


def check_depth(document: Any) -> None:
    """Raise BodyRefused when ``document`` is nested more than 25 levels deep."""
    level = _containers([document])
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise BodyRefused(400, f"The JSON body is nested more than {MAX_DEPTH} levels deep.")
        level = _containers(child for value in level for child in _children(value))


def _check_parts(data: bytes, most: int) -> None:
    """Raise BodyRefused before a body is parsed that would become millions of small things."""
    # Commas in texts count here as well: enough to let nearly every body pass at once.
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) <= most:
        return
    found = 0
    for tokens, token in enumerate(_TOKEN.finditer(data)):
        found += data[token.start()] != ord('"')
        if found > most or tokens > most * _TEXTS_PER_PART:
            raise BodyRefused(
                400, f"The JSON body has more than the {most} objects, lists and items allowed."
            )


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_no_constant)
    except RecursionError:
        raise BodyRefused(
            400, f"The JSON body is nested more than {MAX_DEPTH} levels deep."
        ) from None
    except ValueError as error:
        raise Invalid(f"The body is not valid JSON: {_place(error)}.") from None


def _place(error: ValueError) -> str:
    """Where it is wrong, without the wrong text: that may hold a password."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return "a number is out of range"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("out of range")
    return number


def _no_constant(text: str) -> float:
    raise ValueError("out of range")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list))]


def _storable(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _checked(document: Any) -> Any:
    todo = [document]
    while todo:
        value = todo.pop()
        texts = (
            [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
        )
        if not all(isinstance(text, str) and _storable(text) for text in texts):
            raise Invalid("The body has a NUL character or half of a surrogate pair in a text.")
        todo.extend(_children(value))
    return document


def _repaired(document: Any) -> Any:
    if isinstance(document, str):
        if _storable(document):
            return document
        halves = document.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return halves.replace("\0", REPLACEMENT)
    if isinstance(document, dict):
        return {_repaired(key): _repaired(value) for key, value in document.items()}
    if isinstance(document, list):
        return [_repaired(value) for value in document]
    return document


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, f"The body is larger than the {limit} bytes allowed here.")
