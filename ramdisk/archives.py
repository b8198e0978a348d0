"""A ramdisk as a row of archives: where each begins and ends, and what is in it.

The kernel unpacks one after the other into the same root; mostly the first ones hold
microcode and are not compressed. Everything is read and checked here, within limits,
before anybody writes a file.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from drophammer.errors import Invalid
from ramdisk import newc, packing
from ramdisk.newc import Member
from ramdisk.packing import NONE, Packed

_KNOWN_KINDS = (
    *(stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK),
)
_PIECE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a ramdisk may become: bytes once unpacked, and members, of all archives together."""

    size: int = 4 << 30
    members: int = 1_000_000


@dataclass(frozen=True)
class Archive:
    """One of the archives in a file, from ``start`` to ``end``, ``kind`` being its compression."""

    kind: str
    start: int
    end: int
    members: int
    size: int


class Content:
    """The bytes of one member, to be read once and in order."""

    def __init__(self, feed: _Feed, member: Member) -> None:
        self._feed = feed
        self._member = member
        self._left = member.size
        self._sum = 0

    def pieces(self) -> Iterator[bytes]:
        """What is left of the content, in pieces. Raises Invalid when its sum is wrong."""
        while self._left:
            piece = self._feed.take(min(self._left, _PIECE))
            self._left -= len(piece)
            if self._member.check is not None:
                self._sum += sum(piece)
            yield piece
        if self._member.check not in (None, self._sum & newc.LARGEST):
            raise Invalid(f"The content of {newc.shown(self._member.name)} has another sum.")

    def whole(self) -> bytes:
        """What is left of the content; for what is known to be short."""
        return b"".join(self.pieces())


def scan(file: BinaryIO, limits: Limits) -> list[Archive]:
    """All archives in ``file``, each read and checked to its end. Raises Invalid or Unsupported."""
    found: list[Archive] = []
    offset = _skip_zeros(file, 0)
    while offset is not None:
        spent = Limits(
            limits.size - sum(one.size for one in found),
            limits.members - sum(one.members for one in found),
        )
        found.append(_scan_one(file, offset, spent))
        offset = _skip_zeros(file, found[-1].end)
    if not found:
        raise Invalid("The file is empty: there is no archive in it.")
    return found


def members(file: BinaryIO, archive: Archive) -> Iterator[tuple[Member, Content]]:
    """The members of one archive as ``scan`` found it; content is read before the next one."""
    packed = Packed(file, archive.start, archive.kind)
    feed = _Feed(packed.pieces(), Limits(archive.size, archive.members))
    yield from _members(feed, only_one=archive.kind == NONE)


def _scan_one(file: BinaryIO, offset: int, limits: Limits) -> Archive:
    kind = packing.kind_at(file, offset)
    packed = Packed(file, offset, kind)
    feed = _Feed(packed.pieces(), limits)
    count = 0
    for member, content in _members(feed, only_one=kind == NONE):
        count += 1
        _check(member, content)
    end = offset + feed.taken if kind == NONE else packed.end
    return Archive(kind, offset, end, count, feed.taken)


def _check(member: Member, content: Content) -> None:
    parts = newc.components(member.name)
    if member.kind not in _KNOWN_KINDS:
        raise Invalid(f"{newc.shown(member.name)} is of a type that no ramdisk can hold.")
    if not parts and member.kind != stat.S_IFDIR:
        raise Invalid("The archive's root is given as something else than a folder.")
    if member.kind == stat.S_IFLNK:
        if member.size >= newc.LONGEST_NAME:
            raise Invalid(f"The link {newc.shown(member.name)} has no proper target.")
        newc.check_link(parts, content.whole())
    elif member.kind != stat.S_IFREG and member.size:
        raise Invalid(f"{newc.shown(member.name)} has content and is not a file.")


def _members(feed: _Feed, *, only_one: bool) -> Iterator[tuple[Member, Content]]:
    """Members up to the trailer, or of all archives that were packed together."""
    while True:
        member = newc.read_member(feed.take)
        content = Content(feed, member)
        if not member.is_trailer:
            feed.count()
            yield member, content
        for _ in content.pieces():
            pass  # the reader had no use for it
        feed.take(newc.padding(member.size))
        if member.is_trailer and (only_one or not feed.more()):
            return


class _Feed:
    """Bytes of an archive, counted against the limits."""

    def __init__(self, pieces: Iterator[bytes], limits: Limits) -> None:
        self.taken = 0
        self._pieces = pieces
        self._limits = limits
        self._held = b""
        self._at = 0
        self._count = 0

    def take(self, length: int) -> bytes:
        """Exactly so many bytes. Raises Invalid when there are fewer, or too many in all."""
        self._spend(length)
        while len(self._held) - self._at < length:
            piece = next(self._pieces, b"")
            if not piece:
                raise Invalid("The archive ends in the middle; the file was cut off.")
            self._held, self._at = self._held[self._at :] + piece, 0
        data = self._held[self._at : self._at + length]
        self._at += length
        return data

    def count(self) -> None:
        self._count += 1
        if self._count > self._limits.members:
            raise Invalid("The ramdisk has more files than the limit allows.")

    def more(self) -> bool:
        """Pass over zeros; True when another archive follows them."""
        while True:
            rest = self._held[self._at :].lstrip(b"\0")
            self._spend(len(self._held) - self._at - len(rest))
            self._held, self._at = rest, 0
            if rest:
                return True
            self._held = next(self._pieces, b"")
            if not self._held:
                return False

    def _spend(self, length: int) -> None:
        self.taken += length
        if self.taken > self._limits.size:
            raise Invalid(
                "Unpacked, the ramdisk is larger than the limit; a small file that becomes so "
                "large is damaged or meant to do harm. If it is neither, raise the limit."
            )


def _skip_zeros(file: BinaryIO, offset: int) -> int | None:
    """The first byte that is not zero, from ``offset`` on; None when there is none."""
    file.seek(offset)
    while piece := file.read(1 << 16):
        rest = piece.lstrip(b"\0")
        if rest:
            return offset + len(piece) - len(rest)
        offset += len(piece)
    return None
