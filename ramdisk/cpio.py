"""Writes an initramfs archive: cpio in the "newc" format (kernel: initramfs buffer format).

The same tree gives the same bytes: order, owners, times and inode numbers do not
come from the build machine. The device node that the kernel needs for its first
program is added here, so that nobody has to be root for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ramdisk import newc
from ramdisk.newc import Member

#: (path, type and mode, major, minor): opened by the kernel before anything is mounted.
_NODES = (("dev/console", stat.S_IFCHR | 0o600, 5, 1), ("dev/null", stat.S_IFCHR | 0o666, 1, 3))


def write_archive(root: Path, out: BinaryIO) -> None:
    """Write everything below ``root`` to ``out``, owned by root, at time 0."""
    number = 0
    for path in _sorted_paths(root):
        number += 1
        info = path.lstat()
        name = str(path.relative_to(root))
        if stat.S_ISLNK(info.st_mode):
            _entry(out, number, name, info.st_mode, os.readlink(path).encode())
        elif stat.S_ISREG(info.st_mode):
            _entry(out, number, name, info.st_mode, path.read_bytes())
        elif stat.S_ISDIR(info.st_mode):
            _entry(out, number, name, info.st_mode, b"")
    for name, mode, major, minor in _NODES:
        number += 1
        out.write(newc.head(Member(name.encode(), mode, ino=number, rdev=(major, minor))))
    out.write(newc.head(Member(newc.TRAILER, 0)))
    out.write(bytes(-out.tell() % 512))


def _sorted_paths(root: Path) -> Iterator[Path]:
    """Parents come before their children, which the kernel relies on."""
    yield from sorted(root.rglob("*"), key=lambda path: path.parts)


def _entry(out: BinaryIO, number: int, name: str, mode: int, data: bytes) -> None:
    member = Member(os.fsencode(name), mode, size=len(data), ino=number)
    out.write(newc.head(member) + data + bytes(newc.padding(len(data))))
