"""What an archive's member is, which ones are refused, and how much an archive may hold.

The same rules for every format. Nothing here reads an archive.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from drophammer.errors import ImageError

_LONGEST_NAME = 4096
_MOST_NAMES = 16 << 20
_MIB = 1 << 20


class BadArchive(ImageError):
    """An archive that is damaged, cut off, larger than allowed, or made to do harm."""


class Kind(enum.Enum):
    """What a member is; devices, pipes and sockets are refused."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"


@dataclass(frozen=True)
class Limits:
    """How large things may get: bytes in and out, out per in, members."""

    packed: int = 1024 * _MIB
    unpacked: int = 2048 * _MIB
    ratio: int = 400
    members: int = 100_000


@dataclass(frozen=True)
class Member:
    """One member. ``inode`` is set where a cpio archive gives several names to one file."""

    name: str
    kind: Kind
    size: int = 0
    target: str = ""
    inode: tuple[int, int, int] | None = None


class Readable(Protocol):
    """All that a format's reader asks of what it reads from."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


Members = Iterator[tuple[Member, Readable]]
"""Members in order. The content can be read until the next one is asked for."""


def member_name(raw: bytes) -> str:
    """The name as a plain relative path. Raises BadArchive for one that leads elsewhere."""
    if not raw or len(raw) > _LONGEST_NAME:
        raise BadArchive(f"a member's name has {len(raw)} bytes; 1 to {_LONGEST_NAME} are allowed")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadArchive(f"the member's name {raw[:80]!r} is not UTF-8") from None
    if not text.isprintable():
        raise BadArchive(f"the member's name {text[:80]!r} has characters that are not printable")
    if text.startswith("/"):
        raise BadArchive(f"the member's name {text[:80]!r} is absolute")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadArchive(f"the member's name {text[:80]!r} leads out of the archive")
    return "/".join(parts)


def guarded(members: Members, limits: Limits) -> Members:
    """``members``, until there are too many, or one lies below a symbolic link."""
    links: set[str] = set()
    names = 0
    for count, (member, content) in enumerate(members, 1):
        names += len(member.name) + len(member.target)
        if count > limits.members or names > _MOST_NAMES:
            raise BadArchive(
                f"it has more than {limits.members} members, or names of more than "
                f"{_MOST_NAMES} characters"
            )
        if links and (below := next(filter(links.__contains__, _parents(member.name)), None)):
            raise BadArchive(f"{member.name!r} lies below {below!r}, which is a symbolic link")
        if member.kind is Kind.SYMLINK:
            links.add(member.name)
        yield member, content


def _parents(name: str) -> Iterator[str]:
    end = name.find("/")
    while end != -1:
        yield name[:end]
        end = name.find("/", end + 1)
