"""A string that does not show itself: passwords, tokens, keys.

``repr`` and ``str`` give ``***``, so neither a log line, a traceback with
locals nor a careless f-string leaks it. ``reveal()`` is the one way out and is
easy to grep for.
"""

from __future__ import annotations

import hmac


class Secret:
    """Holds one secret text. Equality is constant-time; hashing is not offered."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the wire it belongs on and nothing else."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__
