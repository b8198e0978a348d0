"""Writes an archive's members below a folder, and nothing anywhere else.

Every step of a path is opened without following links, so that no member can write
through a link that another one placed. Owners and device nodes are for root only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drophammer.errors import Forbidden, Invalid
from ramdisk import newc
from ramdisk.archives import Content
from ramdisk.newc import Member

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKED_FILE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)

Parts = tuple[bytes, ...]


class Folder:
    """A folder that an archive is unpacked into; call ``finish`` at the end."""

    def __init__(self, root: Path, *, devices: bool = False) -> None:
        self._root = root
        self._devices = devices
        self._owners = os.geteuid() == 0
        self._folders: dict[Parts, Member] = {}
        self._links: dict[tuple[int, ...], tuple[Parts, tuple[int, int]]] = {}

    def place(self, member: Member, content: Content) -> None:
        """Write one member. Raises Invalid or Forbidden for what must not be written."""
        parts = newc.components(member.name)
        if not parts:
            self._folders[parts] = member
            return
        with self._opened(parts[:-1]) as parent:
            if member.kind == stat.S_IFDIR:
                self._make_folder(parent, parts, member)
            elif member.kind == stat.S_IFREG:
                self._make_file(parent, parts, member, content)
            else:
                self._make_special(parent, parts, member, content)

    def finish(self) -> None:
        """Give folders their modes and times, which could be in the way before."""
        for parts, member in sorted(self._folders.items(), reverse=True):
            with self._opened(parts) as folder:
                if self._owners:
                    os.fchown(folder, member.uid, member.gid)
                os.fchmod(folder, stat.S_IMODE(member.mode))
                os.utime(folder, (member.mtime, member.mtime))

    def _make_folder(self, parent: int, parts: Parts, member: Member) -> None:
        here = _look(parent, parts[-1])
        if here is None or not stat.S_ISDIR(here.st_mode):
            self._clear(parent, parts)
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        self._folders[parts] = member

    def _make_file(self, parent: int, parts: Parts, member: Member, content: Content) -> None:
        key = (*member.dev, member.ino)
        first = self._links.get(key) if member.nlink > 1 else None
        self._clear(parent, parts)
        if first is not None:
            self._link(parent, parts, *first)
            if not member.size:
                return
        how = _NEW_FILE if first is None else _LINKED_FILE
        with os.fdopen(os.open(parts[-1], how, 0o600, dir_fd=parent), "wb") as file:
            file.truncate(0)
            for piece in content.pieces():
                file.write(piece)
            file.flush()
            self._attributes(file.fileno(), member)
            made = os.fstat(file.fileno())
        self._links.setdefault(key, (parts, (made.st_dev, made.st_ino)))

    def _link(self, parent: int, parts: Parts, old: Parts, inode: tuple[int, int]) -> None:
        with self._opened(old[:-1]) as folder:
            here = _look(folder, old[-1])
            # The type too: a file system gives the number of what was removed to something new.
            same = here and stat.S_ISREG(here.st_mode) and (here.st_dev, here.st_ino) == inode
            if not same:
                raise Invalid(
                    f"{_path(parts)} is a hard link to {_path(old)}, which something else has "
                    "replaced."
                )
            os.link(old[-1], parts[-1], src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False)

    def _make_special(self, parent: int, parts: Parts, member: Member, content: Content) -> None:
        if member.kind in _DEVICES and not (self._devices and self._owners):
            raise Forbidden(
                f"{_path(parts)} is a device node. They are unpacked for root only, and only "
                "with --allow-devices."
            )
        self._clear(parent, parts)
        if member.kind == stat.S_IFLNK:
            os.symlink(content.whole(), parts[-1], dir_fd=parent)
        else:
            os.mknod(parts[-1], member.mode, os.makedev(*member.rdev), dir_fd=parent)
            os.chmod(parts[-1], stat.S_IMODE(member.mode), dir_fd=parent)
        if self._owners:
            os.chown(parts[-1], member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        times = (member.mtime, member.mtime)
        os.utime(parts[-1], times, dir_fd=parent, follow_symlinks=False)

    def _attributes(self, file: int, member: Member) -> None:
        if self._owners:
            os.fchown(file, member.uid, member.gid)
        os.fchmod(file, stat.S_IMODE(member.mode))
        os.utime(file, (member.mtime, member.mtime))

    @staticmethod
    def _clear(parent: int, parts: Parts) -> None:
        """A later member replaces an earlier one, as in the kernel; but never a folder."""
        here = _look(parent, parts[-1])
        if here is None:
            return
        if stat.S_ISDIR(here.st_mode):
            raise Invalid(f"{_path(parts)} is a folder first and something else later.")
        os.unlink(parts[-1], dir_fd=parent)

    @contextmanager
    def _opened(self, parts: Parts) -> Iterator[int]:
        """The folder at ``parts``, made where the archive did not name it before its content."""
        fd = os.open(self._root, _FOLDER)
        try:
            for number, part in enumerate(parts, 1):
                below = self._step(fd, part, parts[:number])
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    @staticmethod
    def _step(fd: int, part: bytes, whole: Parts) -> int:
        try:
            try:
                return os.open(part, _FOLDER, dir_fd=fd)
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=fd)
                return os.open(part, _FOLDER, dir_fd=fd)
        except NotADirectoryError:
            raise Invalid(
                f"The archive writes below {_path(whole)}, which is a link or a file in it."
            ) from None


def _look(parent: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _path(parts: Parts) -> str:
    return newc.shown(b"/".join(parts))
