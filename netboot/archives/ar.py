"""Where the members of an ar archive lie: the outer shell of a Debian package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from netboot.archives.member import BadArchive
from netboot.archives.reading import Section, exactly

MAGIC = b"!<arch>\n"
_HEADER = re.compile(rb"([ -~]{16})[0-9 ]{12}[0-9 ]{6}[0-9 ]{6}[0-7 ]{8}([0-9]{1,10}) *`\n")
_MOST = 64
"""A Debian package has three members; extensions may add a few."""


def members(file: BinaryIO) -> Iterator[tuple[str, Section]]:
    """Name and content of each member. Raises BadArchive."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    if exactly(file, len(MAGIC), "its first line") != MAGIC:
        raise BadArchive("it does not begin as an ar archive does")
    at = len(MAGIC)
    for _ in range(_MOST):
        if at >= end:
            return
        file.seek(at)
        found = _HEADER.fullmatch(exactly(file, 60, "an ar header"))
        if not found:
            raise BadArchive(f"an ar header is due at byte {at}")
        size = int(found[2])
        if at + 60 + size > end:
            raise BadArchive(f"it ends {at + 60 + size - end} bytes too early")
        yield found[1].decode("ascii").rstrip().removesuffix("/"), Section(file, at + 60, size)
        at += 60 + size + size % 2
    raise BadArchive(f"it has more than {_MOST} members")
