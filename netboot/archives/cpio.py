"""Members of a cpio archive in the "newc" format, with or without checksums: what an RPM carries.

Heads are read by ``ramdisk.newc``. What a member of a package may be is decided here.
"""

from __future__ import annotations

import stat

from drophammer.errors import Invalid
from netboot.archives.member import BadArchive, Kind, Member, Members, Readable, member_name
from netboot.archives.reading import Part, drained, exactly
from ramdisk import newc


def members(source: Readable) -> Members:
    """All members, up to the trailer. Raises BadArchive."""
    while True:
        head = _head(source)
        if head.is_trailer:
            drained(source)
            return
        member = _member(head)
        content = Part(source, head.size, member.name)
        if member.kind is Kind.SYMLINK:
            target = exactly(content, min(head.size, newc.LONGEST_NAME), member.name)
            member = Member(member.name, Kind.SYMLINK, target=target.decode(errors="replace"))
        yield member, content
        content.skip()
        exactly(source, newc.padding(head.size), "padding")


def _head(source: Readable) -> newc.Member:
    try:
        return newc.read_member(lambda size: exactly(source, size, "a cpio header"))
    except Invalid as error:
        raise BadArchive(f"its cpio archive is damaged: {error.message.rstrip('.')}") from None


def _member(head: newc.Member) -> Member:
    name = member_name(head.name)
    if head.kind == stat.S_IFREG:
        shared = (*head.dev, head.ino) if head.nlink > 1 else None
        return Member(name, Kind.FILE, head.size, inode=shared)
    if head.kind == stat.S_IFDIR:
        return Member(name, Kind.FOLDER)
    if head.kind == stat.S_IFLNK:
        return Member(name, Kind.SYMLINK)
    raise BadArchive(f"{name!r} is a device, pipe or socket, which no package needs")
