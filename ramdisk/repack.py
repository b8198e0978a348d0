"""``drophammer ramdisk repack``: a folder from ``unpack`` as a ramdisk again.

The same folder gives the same bytes: members are sorted, numbered from 1, and hold
nothing of the file system they were read from but modes, owners and times.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from drophammer.errors import Invalid, NotFound
from ramdisk import newc
from ramdisk.newc import Member
from ramdisk.packing import Packer
from ramdisk.unpack import AFTER, BEFORE, ROOT, read_note

_PIECE = 1 << 20
#: As other tools of the trade do; block devices read whole sectors.
_SECTOR = 512


def repack(
    folder: Path, file: Path, *, compression: str | None = None, mtime: int | None = None
) -> None:
    """Write ``folder`` as ``file``, packed as it was or with ``compression``.

    ``mtime`` replaces all times. Owners are kept where root packs, else everything is root's.
    ``file`` is replaced at the end. Raises Invalid or NotFound.
    """
    kind = compression or read_note(folder).compression
    fd, scratch = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(fd, "wb") as out:
            _write_all(folder, out, kind, mtime)
            os.fchmod(fd, 0o644)
        os.replace(scratch, file)
    except BaseException:
        os.unlink(scratch)
        raise


def _write_all(folder: Path, out: BinaryIO, kind: str, mtime: int | None) -> None:
    try:
        _append(folder / BEFORE, out)
        _align(out)
        packer = Packer(out, kind)
        write_tree(folder / ROOT, packer, mtime)
        packer.finish()
        if (folder / AFTER).stat().st_size:
            _align(out)
            _append(folder / AFTER, out)
    except FileNotFoundError as error:
        raise NotFound(f"{folder} is not whole: {error.filename} is missing.") from None


def write_tree(root: Path, out: Packer, mtime: int | None = None) -> None:
    """Write everything in and below ``root`` as one archive, with its trailer."""
    found = [(name, path, os.lstat(path)) for name, path in _sorted(os.fsencode(root))]
    numbers: dict[tuple[int, int], int] = {}
    names_left: dict[tuple[int, int], int] = {}
    for _, _, here in found:
        key = (here.st_dev, here.st_ino)
        numbers.setdefault(key, len(numbers) + 1)
        names_left[key] = names_left.get(key, 0) + 1
    names = dict(names_left)
    for name, path, here in found:
        key = (here.st_dev, here.st_ino)
        names_left[key] -= 1
        member = _member(name, here, numbers[key], names[key], mtime)
        # Of several names for one file, the last one carries the content.
        _write(out, member, path, has_content=names_left[key] == 0)
    out.write(newc.head(Member(newc.TRAILER, 0)))
    out.write(bytes(-out.taken % _SECTOR))


def _sorted(root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, path) of the root and all below, each folder before what is in it."""
    yield b".", root
    yield from _below(root, b"")


def _below(folder: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        yield prefix + entry.name, entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, prefix + entry.name + b"/")


def _member(
    name: bytes, here: os.stat_result, number: int, names: int, mtime: int | None
) -> Member:
    if stat.S_ISSOCK(here.st_mode):
        raise Invalid(f"{newc.shown(name)} is a socket, which no ramdisk can hold; remove it.")
    root = os.geteuid() == 0
    device = stat.S_ISCHR(here.st_mode) or stat.S_ISBLK(here.st_mode)
    return Member(
        name=name,
        mode=here.st_mode,
        ino=number,
        uid=here.st_uid if root else 0,
        gid=here.st_gid if root else 0,
        nlink=2 if stat.S_ISDIR(here.st_mode) else names,
        mtime=min(max(int(here.st_mtime) if mtime is None else mtime, 0), newc.LARGEST),
        rdev=(os.major(here.st_rdev), os.minor(here.st_rdev)) if device else (0, 0),
    )


def _write(out: Packer, member: Member, path: bytes, *, has_content: bool) -> None:
    if member.kind == stat.S_IFLNK:
        target = os.readlink(path)
        _write_content(out, replace(member, size=len(target)), [target])
    elif member.kind == stat.S_IFREG and has_content:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            member = replace(member, size=_size(file, member))
            _write_content(out, member, iter(lambda: file.read(_PIECE), b""))
    else:
        out.write(newc.head(member))


def _write_content(out: Packer, member: Member, pieces: Iterable[bytes]) -> None:
    out.write(newc.head(member))
    begun = out.taken
    for piece in pieces:
        out.write(piece)
    if out.taken - begun != member.size:
        raise Invalid(f"{newc.shown(member.name)} changed while it was read; pack once more.")
    out.write(bytes(newc.padding(member.size)))


def _size(file: BinaryIO, member: Member) -> int:
    size = os.fstat(file.fileno()).st_size
    if size > newc.LARGEST:
        raise Invalid(f"{newc.shown(member.name)} has {size} bytes; the format ends at 4 GiB.")
    return size


def _append(part: Path, out: BinaryIO) -> None:
    with part.open("rb") as file:
        shutil.copyfileobj(file, out)


def _align(out: BinaryIO) -> None:
    """An archive that is not compressed begins at a multiple of four, or the kernel passes it."""
    out.write(bytes(newc.padding(out.tell())))
