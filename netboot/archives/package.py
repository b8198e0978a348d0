"""One door to all formats: which it is, is seen by the first bytes, never by the file's name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from netboot.archives import ar, deb, rpm, tar
from netboot.archives.inflate import Inflated
from netboot.archives.member import BadArchive, Kind, Limits, Member, Members, guarded
from netboot.archives.reading import Section, exactly

LIMITS = Limits()
_LONGEST_CHAIN = 8
_LARGEST_TAKEN = 64 << 20


def members(file: BinaryIO, limits: Limits = LIMITS) -> Members:
    """Members of a Debian package, an RPM or a (compressed) tar archive. Raises BadArchive."""
    end = file.seek(0, os.SEEK_END)
    if end > limits.packed:
        raise BadArchive(f"it is larger than {limits.packed} bytes")
    file.seek(0)
    magic = file.read(8)
    if magic == ar.MAGIC:
        return guarded(deb.members(file, limits), limits)
    if magic[:4] == rpm.MAGIC:
        return guarded(rpm.members(file, limits), limits)
    return guarded(tar.members(Inflated(Section(file, 0, end), limits)), limits)


def files(
    file: BinaryIO, wanted: Callable[[str], bool], limits: Limits = LIMITS
) -> dict[str, bytes]:
    """The content of each wanted name, links inside of the archive followed.

    Links that lead elsewhere are left out: a package may count on others. The archive is
    read twice, because a link may stand before what it leads to.
    """
    all_of_them = {member.name: member for member, _ in members(file, limits)}
    inodes = {
        member.inode: member.name
        for member in all_of_them.values()
        if member.inode is not None and member.size
    }
    places = {name: _place(name, all_of_them, inodes) for name in all_of_them if wanted(name)}
    contents = _contents(file, {place for place in places.values() if place}, limits)
    return {name: contents[place] for name, place in places.items() if place}


def _place(
    name: str, all_of_them: dict[str, Member], inodes: dict[tuple[int, int, int], str]
) -> str | None:
    """The name under which the content of ``name`` stands; None when it is elsewhere."""
    for _ in range(_LONGEST_CHAIN):
        member = all_of_them.get(name)
        if member is None or member.kind is Kind.FOLDER:
            return None
        if member.kind is Kind.FILE:
            return name if member.inode is None else inodes.get(member.inode, name)
        name = member.target
        if member.kind is Kind.SYMLINK:
            name = os.path.normpath(os.path.join("/", os.path.dirname(member.name), name))[1:]
    return None


def _contents(file: BinaryIO, places: set[str], limits: Limits) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    room = _LARGEST_TAKEN
    for member, content in members(file, limits):
        if member.name in places and member.kind is Kind.FILE:
            room -= member.size
            if room < 0:
                raise BadArchive(f"its boot loaders have more than {_LARGEST_TAKEN} bytes")
            found[member.name] = exactly(content, member.size, member.name)
    return found
