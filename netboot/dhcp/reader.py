"""Reading bytes that anybody may have sent: every read is bounded, every error has its position.

The one way in which the parsers of this folder fail is BadPacket.
"""

from __future__ import annotations

from drophammer.errors import Invalid


class BadPacket(Invalid):
    """These bytes are no such message; the sentence names the position of the first bad one."""


def bad(what: str, at: int, why: str) -> BadPacket:
    """The error for ``what`` that is broken at the byte ``at`` (counted from 0)."""
    return BadPacket(f"{what}, byte {at}: {why}.")


class Reader:
    """Walks over bytes from front to back. ``base`` is where they begin in the whole message."""

    def __init__(self, data: bytes, what: str, base: int = 0) -> None:
        self._data = data
        self._what = what
        self._base = base
        self._next = 0

    @property
    def at(self) -> int:
        """Position, in the whole message, of the byte that is read next."""
        return self._base + self._next

    @property
    def left(self) -> int:
        """How many bytes there are still."""
        return len(self._data) - self._next

    def take(self, count: int, name: str) -> bytes:
        """The next ``count`` bytes. Raises BadPacket when there are fewer."""
        if count > self.left:
            raise bad(
                self._what, self.at, f"{name} needs {count} more bytes, and there are {self.left}"
            )
        found = self._data[self._next : self._next + count]
        self._next += count
        return found

    def number(self, count: int, name: str) -> int:
        """The next ``count`` bytes as a number, the high byte first."""
        return int.from_bytes(self.take(count, name), "big")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left, "the rest")
