"""Bytes out of archives: exactly as many as were announced, or a sentence; nothing else."""

from __future__ import annotations

from typing import BinaryIO

from netboot.archives.member import BadArchive, Readable

_BLOCK = 1 << 20


def exactly(source: Readable, size: int, what: str) -> bytes:
    """``size`` bytes. Raises BadArchive when it ends before."""
    parts = []
    left = size
    while left:
        block = source.read(min(left, _BLOCK))
        if not block:
            raise BadArchive(f"it ends in the middle of {what}")
        parts.append(block)
        left -= len(block)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def drained(source: Readable) -> None:
    """Read on to the end: only there are checksums compared and a cut-off stream noticed."""
    while source.read(_BLOCK):
        pass


class Part:
    """The next ``size`` bytes of a source, as something to read from."""

    def __init__(self, source: Readable, size: int, what: str) -> None:
        self._source = source
        self._left = size
        self._what = what

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes. Raises BadArchive when the source ends too early."""
        wanted = min(size, self._left)
        if not wanted:
            return b""
        block = self._source.read(wanted)
        if not block:
            raise BadArchive(f"it ends in the middle of {self._what}")
        self._left -= len(block)
        return block

    def skip(self) -> None:
        """Read what is left of it."""
        while self.read(_BLOCK):
            pass


class Section:
    """A stretch of a file that can seek; several of them may be read in turns."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file = file
        self._at = offset
        self._end = offset + size

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end of the stretch."""
        self._file.seek(self._at)
        block = self._file.read(min(size, self._end - self._at))
        self._at += len(block)
        return block
