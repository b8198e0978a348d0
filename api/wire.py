"""Answers as bytes of JSON."""

from __future__ import annotations

import datetime
import json
from typing import Any

import orjson


def dumps(document: Any) -> bytes:
    """A document of an answer: plain values, times and JSON texts that are stored."""
    try:
        return orjson.dumps(document)
    except TypeError:
        # It takes no whole number beyond 64 bits, and no text that is not Unicode.
        return json.dumps(document, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, orjson.Fragment):
        return json.loads(orjson.dumps(value))
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
