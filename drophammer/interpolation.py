"""``{inventory[cpu][count]}`` in a text, replaced by what it names.

The notation is Python's format strings', but only keys of JSON values are ever
looked up: never an attribute of an object.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

_SPEC = re.compile(r"[<>^]?\d{0,3}(\.\d{1,2})?[bcdeEfFgGnosxX%]?")
_FIELD = re.compile(r"(\w+)((?:\.\w+|\[[^\[\]]+\])*)")
_KEY = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")
MISSING = object()


class _Formatter(string.Formatter):
    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        field = _FIELD.fullmatch(field_name)
        if field is None:
            raise KeyError(field_name)
        value = kwargs[field[1]]
        for dotted, bracketed in _KEY.findall(field[2]):
            key = dotted or bracketed
            value = value[int(key)] if isinstance(value, list) else dict(value)[key]
        return value, field[1]

    def format_field(self, value: Any, format_spec: str) -> str:
        if not _SPEC.fullmatch(format_spec):
            raise ValueError("a format that is not taken")
        return str(format(value, format_spec))

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion not in (None, "s"):
            raise ValueError("a conversion that is not taken")
        return value


_FORMATTER = _Formatter()
# An ArithmeticError is a number too great for the format that is asked for.
_FAILURES = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)


def fixed(value: Any) -> bool:
    """Whether a JSON value names nothing that is to be filled in."""
    if isinstance(value, dict):
        return all(fixed(inner) for inner in value.values())
    if isinstance(value, list):
        return all(fixed(inner) for inner in value)
    return not isinstance(value, str) or "{" not in value


def interpolated(value: Any, facts: Mapping[str, Any]) -> Any:
    """A copy of a JSON value with all texts in it filled in, at any depth.

    A text that names something that is not there stays as it is.
    """
    if isinstance(value, dict):
        return {key: interpolated(inner, facts) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, facts) for inner in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    try:
        return _FORMATTER.vformat(value, (), facts)
    except _FAILURES:
        return value


def looked_up(value: Any, facts: Mapping[str, Any]) -> Any:
    """The value itself, not its text, where ``value`` is one single ``{field}``.

    MISSING when the field is not there; other values are interpolated.
    """
    if isinstance(value, str) and value.startswith("{"):
        try:
            parts = list(_FORMATTER.parse(value))
            if len(parts) == 1 and parts[0][0] == "" and not parts[0][2] and parts[0][1]:
                return _FORMATTER.get_field(parts[0][1], (), facts)[0]
        except _FAILURES:
            return MISSING
    return interpolated(value, facts)
