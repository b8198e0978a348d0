"""The cpio format "newc" of initramfs archives and RPMs: one member's head, read and written.

Knows nothing of files, folders or compression. What a name in a ramdisk may be is decided
here, because a name is the part of an archive that does harm.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass

from drophammer.errors import Invalid

MAGIC = b"070701"
#: The same with a sum of each file's bytes.
MAGIC_WITH_SUM = b"070702"
TRAILER = b"TRAILER!!!"
HEAD = 110
LARGEST = 0xFFFFFFFF
LONGEST_NAME = 4096
LONGEST_COMPONENT = 255
_FIELDS = re.compile(rb"[0-9A-Fa-f]{104}")


@dataclass(frozen=True)
class Member:
    """One head. ``check`` is the sum of the content's bytes, None where the format has none."""

    name: bytes
    mode: int
    size: int = 0
    ino: int = 0
    uid: int = 0
    gid: int = 0
    nlink: int = 1
    mtime: int = 0
    dev: tuple[int, int] = (0, 0)
    rdev: tuple[int, int] = (0, 0)
    check: int | None = None

    @property
    def kind(self) -> int:
        """The file type, as in ``stat.S_IFREG``."""
        return stat.S_IFMT(self.mode)

    @property
    def is_trailer(self) -> bool:
        return self.name == TRAILER


def padding(length: int) -> int:
    """How many zero bytes follow ``length`` bytes, up to the next multiple of four."""
    return -length % 4


def read_member(take: Callable[[int], bytes]) -> Member:
    """The next head; ``take`` gives exactly so many bytes. Raises Invalid."""
    head = take(HEAD)
    magic, fields = head[:6], head[6:]
    if magic not in (MAGIC, MAGIC_WITH_SUM) or not _FIELDS.fullmatch(fields):
        raise Invalid(f"{head[:16]!r} is not the head of a member of a cpio archive (newc).")
    (ino, mode, uid, gid, nlink, mtime, size, *numbers, length, check) = (
        int(fields[at : at + 8], 16) for at in range(0, 104, 8)
    )
    if not 1 < length <= LONGEST_NAME:
        raise Invalid(f"A member's name has {length} bytes; 2 to {LONGEST_NAME} are possible.")
    name = take(length + padding(HEAD + length))[:length]
    if name.find(b"\0") != length - 1:
        raise Invalid(f"The name {shown(name)} does not end with its only zero byte.")
    return Member(
        name=name[:-1],
        mode=mode,
        size=size,
        ino=ino,
        uid=uid,
        gid=gid,
        nlink=nlink,
        mtime=mtime,
        dev=(numbers[0], numbers[1]),
        rdev=(numbers[2], numbers[3]),
        check=check if magic == MAGIC_WITH_SUM else None,
    )


def head(member: Member) -> bytes:
    """The member's head and name, padded; the content and its padding come behind it."""
    name = member.name + b"\0"
    fields = (
        *(member.ino, member.mode, member.uid, member.gid, member.nlink, member.mtime),
        *(member.size, *member.dev, *member.rdev, len(name), 0),
    )
    written = MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return written + bytes(padding(len(written)))


def components(name: bytes) -> tuple[bytes, ...]:
    """The folders of ``name`` and its last part; () is the root. Raises Invalid for evil names."""
    if name.startswith(b"/"):
        raise Invalid(f"The name {shown(name)} is absolute; an archive's names are relative.")
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise Invalid(f"The name {shown(name)} has '..' in it and could lead out of the folder.")
    if any(len(part) > LONGEST_COMPONENT for part in parts):
        raise Invalid(f"The name {shown(name)} is longer than any file system takes.")
    return parts


def check_link(parts: tuple[bytes, ...], target: bytes) -> None:
    """A symbolic link may not climb out of the archive's root. Raises Invalid.

    An absolute target counts from that root when the ramdisk runs, and is never followed here.
    """
    if not target or b"\0" in target or len(target) >= LONGEST_NAME:
        raise Invalid(f"The link {shown(b'/'.join(parts))} has no proper target.")
    depth = 0 if target.startswith(b"/") else len(parts) - 1
    for part in target.split(b"/"):
        depth += {b"": 0, b".": 0, b"..": -1}.get(part, 1)
        if depth < 0:
            raise Invalid(
                f"The link {shown(b'/'.join(parts))} leads out of the archive, to {shown(target)}."
            )


def shown(name: bytes) -> str:
    """A name for people: printable, and not endless."""
    text = ascii(name.decode(errors="backslashreplace"))
    return text if len(text) <= 120 else f"{text[:117]}..."
