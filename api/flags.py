"""Yes and no in bodies: clients send the texts of command lines as well as booleans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.query import boolean
from drophammer.errors import Invalid

YES_OR_NO: dict[str, Any] = {"type": ["boolean", "string"]}


def flag(body: Mapping[str, Any], name: str) -> bool:
    """What ``body`` says under ``name``. Raises Invalid."""
    value = body[name]
    found = boolean(value) if isinstance(value, str) else bool(value)
    if found is None:
        raise Invalid(f"{name}: {value[:80]!r} is neither true nor false.")
    return found
