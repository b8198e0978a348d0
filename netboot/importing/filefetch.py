"""``file://``: a copy of a file in one of the folders that are allowed."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from drophammer.errors import ImageError, NotFound
from netboot.importing.egress import Egress, shown


class FileFetcher:
    """Reads what a mirror on a disk of ours has. Egress says which folders those are."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def fetch(self, url: str, out: BinaryIO, most: int) -> None:
        """Copy the file. Raises ImageError when it is changed meanwhile."""
        path = self._egress.file(url)
        try:
            # A pipe would keep us waiting for somebody to write into it.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise ImageError(f"{shown(url)} was not read: {path} is not a plain file.")
                if before.st_size > most:
                    raise ImageError(
                        f"{shown(url)} was not read: it has {before.st_size} bytes, and at most "
                        f"{most} are taken."
                    )
                shutil.copyfileobj(file, out, 1 << 20)
                if tag(os.fstat(file.fileno())) != tag(before):
                    raise ImageError(
                        f"{shown(url)} was changed while it was read; nothing was taken. Import "
                        "again when its writer is done."
                    )
        except OSError as error:
            raise _told(url, path, error) from None

    def tag(self, url: str) -> str | None:
        """Inode, size and time of the last change."""
        path = self._egress.file(url)
        try:
            return tag(path.stat())
        except OSError as error:
            raise _told(url, path, error) from None


def tag(found: os.stat_result) -> str:
    """A word that is another one when the file was written or exchanged."""
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def _told(url: str, path: Path, error: OSError) -> ImageError | NotFound:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound(f"{shown(url)} was not found: there is no file {path}.")
    if isinstance(error, IsADirectoryError):
        return ImageError(f"{shown(url)} was not read: {path} is not a plain file.")
    return ImageError(f"{shown(url)} could not be copied from {path}: {error.strerror}.")
