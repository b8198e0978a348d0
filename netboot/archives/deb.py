"""The files of a Debian package: ar outside, a compressed tar inside (see deb(5))."""

from __future__ import annotations

from typing import BinaryIO

from netboot.archives import ar, tar
from netboot.archives.inflate import Inflated
from netboot.archives.member import BadArchive, Limits, Members

_VERSION = "debian-binary"
_LONGEST_VERSION = 64


def members(file: BinaryIO, limits: Limits) -> Members:
    """The files it would install. Raises BadArchive."""
    parts = ar.members(file)
    name, version = next(parts, ("", None))
    if name != _VERSION or version is None or version.read(_LONGEST_VERSION)[:2] != b"2.":
        raise BadArchive("it is an ar archive, but no Debian package of the format 2")
    for name, content in parts:
        if name.startswith("data.tar"):
            yield from tar.members(Inflated(content, limits))
            return
    raise BadArchive("it is a Debian package without files (data.tar)")
