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
        _entry(out, number, name, mode, b"", major, minor)
    _entry(out, 0, "TRAILER!!!", 0, b"")
    out.write(bytes(-out.tell() % 512))


def _sorted_paths(root: Path) -> Iterator[Path]:
    """Parents come before their children, which the kernel relies on."""
    yield from sorted(root.rglob("*"), key=lambda path: path.parts)


def _entry(
    out: BinaryIO, number: int, name: str, mode: int, data: bytes, major: int = 0, minor: int = 0
) -> None:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    out.write(head + bytes(-len(head) % 4))
    out.write(data + bytes(-len(data) % 4))
