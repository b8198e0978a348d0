"""Members of a cpio archive in the "newc" format, with or without checksums.

What an RPM carries. Initramfs archives are read by ``ramdisk``, by rules of their own.
"""

from __future__ import annotations

import re
import stat

from netboot.archives.member import BadArchive, Kind, Member, Members, Readable, member_name
from netboot.archives.reading import Part, drained, exactly

_HEADER = re.compile(rb"07070[12]([0-9a-fA-F]{104})")
_LONGEST_NAME = 4097
_TRAILER = b"TRAILER!!!"


def members(source: Readable) -> Members:
    """All members, up to the trailer. Raises BadArchive."""
    while True:
        fields = _fields(exactly(source, 110, "a cpio header"))
        name = _name(source, fields[11])
        if name == _TRAILER:
            drained(source)
            return
        member = _member(name, fields)
        content = Part(source, fields[6], member.name)
        if member.kind is Kind.SYMLINK:
            target = exactly(content, min(fields[6], _LONGEST_NAME), member.name)
            member = Member(member.name, Kind.SYMLINK, target=target.decode(errors="replace"))
        yield member, content
        content.skip()
        exactly(source, -fields[6] % 4, "padding")


def _fields(header: bytes) -> list[int]:
    found = _HEADER.fullmatch(header)
    if not found:
        raise BadArchive(f"a cpio header of the format newc is due where {header[:6]!r} stands")
    return [int(found[1][at : at + 8], 16) for at in range(0, 104, 8)]


def _name(source: Readable, length: int) -> bytes:
    if not 2 <= length <= _LONGEST_NAME:
        raise BadArchive(f"a cpio header announces a name of {length} bytes")
    name = exactly(source, length, "a member's name")
    exactly(source, -(110 + length) % 4, "padding")
    if name[-1:] != b"\0":
        raise BadArchive("a member's name does not end where the cpio header says")
    return name[:-1]


def _member(raw: bytes, fields: list[int]) -> Member:
    inode, mode, links, size = fields[0], fields[1], fields[4], fields[6]
    name = member_name(raw)
    if stat.S_ISREG(mode):
        shared = (fields[7], fields[8], inode) if links > 1 else None
        return Member(name, Kind.FILE, size, inode=shared)
    if stat.S_ISDIR(mode):
        return Member(name, Kind.FOLDER)
    if stat.S_ISLNK(mode):
        return Member(name, Kind.SYMLINK)
    raise BadArchive(f"{name!r} is a device, pipe or socket, which no package needs")
