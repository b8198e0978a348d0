"""The cache: every file once, by its SHA-256; snapshots are hard links into it.

A file comes in under a name of its own, is synced and renamed: what has a checksum
for a name is whole, unless somebody or the disk damaged it later. Size and time tell
of that; what they cannot tell, a run with ``thorough`` finds.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from netboot.importing.source import Entry, take
from netboot.resources import durable
from netboot.resources.durable import disk

log = logging.getLogger(__name__)

FOLDER = "cache"
_BLOCK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")

Trusted = Mapping[str, tuple[int, int]]
"""SHA-256 to size and mtime_ns, as they were when the content was last seen to be right."""


@dataclass(frozen=True)
class Stored:
    """A file in the cache."""

    sha256: str
    size: int
    mtime_ns: int


class Cache:
    """The cache below the root of boot resources. Used under the lock of a run only."""

    def __init__(self, root: Path, trusted: Trusted, *, thorough: bool = False) -> None:
        self.folder = root / FOLDER
        self._trusted = trusted
        self._thorough = thorough
        self._seen: dict[str, Stored] = {}

    def get(self, sha256: str) -> Stored | None:
        """The file with this content; None when there is none, or what there was is damaged."""
        if sha256 in self._seen or not _SHA256.fullmatch(sha256):
            return self._seen.get(sha256)
        path = self.path(sha256)
        with disk(f"reading {path.name[:12]} of the cache", self.folder):
            stored = self._look(path, sha256)
            if stored is None:
                return None
            if not self._is_trusted(stored) and _digest(path) != sha256:
                log.warning("%s in the cache is damaged and will be fetched again", sha256)
                path.unlink()
                return None
        self._seen[sha256] = stored
        return stored

    def add(self, entry: Entry, wrote: Callable[[int], None]) -> Stored:
        """Fetch ``entry`` into the cache. ``wrote`` is told of bytes, and may raise to end it.

        Raises DiskTrouble, ImageError, or whatever the source raises.
        """
        with disk(f"writing {entry.path}", self.folder):
            durable.make_folder(self.folder)
            made = durable.partial(self.folder)
        try:
            with _Sink(made, wrote, entry.path) as sink:
                # FileIO has all that a source may use of a BinaryIO.
                sha256, _ = take(entry, cast(BinaryIO, sink))
                with disk(f"writing {entry.path}", self.folder):
                    os.fchmod(sink.fileno(), durable.FILE_MODE)
                    os.fsync(sink.fileno())
            return self._settle(made, sha256)
        except BaseException:
            made.unlink(missing_ok=True)
            raise

    def adopt(self, path: Path) -> Stored:
        """Take in a file that lies on the same disk and is not to be written to any more."""
        with disk(f"reading {path}", self.folder):
            sha256 = _digest(path)
        known = self.get(sha256)
        if known is not None:
            return known
        with disk(f"linking {path} into the cache", self.folder):
            durable.make_folder(self.folder)
            made = durable.partial(self.folder)
            os.link(path, made)
        return self._settle(made, sha256)

    def rescue(self, path: Path, sha256: str) -> Stored | None:
        """Take in a file if it is there and its content is still this."""
        with disk(f"reading {path}", self.folder):
            if not path.is_file() or _digest(path) != sha256:
                return None
        return self.adopt(path)

    def path(self, sha256: str) -> Path:
        """Where the content lies or would lie."""
        return self.folder / sha256

    def clear(self, before: datetime.datetime | None = None) -> None:
        """Remove what no snapshot has, or of that only what was fetched ``before``."""
        end = before.timestamp() if before else math.inf
        if not self.folder.is_dir():
            return
        with disk("clearing the cache", self.folder), os.scandir(self.folder) as found:
            for item in found:
                told = item.stat()
                unused = _SHA256.fullmatch(item.name) and told.st_nlink == 1
                if unused and told.st_mtime < end:
                    os.unlink(item.path)

    def _settle(self, made: Path, sha256: str) -> Stored:
        with disk("putting a file into the cache", self.folder):
            made.rename(self.path(sha256))
            # Two links to one file: rename leaves both.
            made.unlink(missing_ok=True)
            durable.sync(self.folder)
            stored = self._look(self.path(sha256), sha256)
        assert stored is not None
        self._seen[sha256] = stored
        return stored

    def _is_trusted(self, stored: Stored) -> bool:
        known = self._trusted.get(stored.sha256)
        return not self._thorough and known == (stored.size, stored.mtime_ns)

    @staticmethod
    def _look(path: Path, sha256: str) -> Stored | None:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        return Stored(sha256, found.st_size, found.st_mtime_ns)


class _Sink(io.FileIO):
    """The file that a source writes to: it tells our disk's troubles from the source's."""

    def __init__(self, path: Path, wrote: Callable[[int], None], name: str) -> None:
        self._folder, self._wrote, self._name = path.parent, wrote, name
        with disk(f"writing {name}", self._folder):
            super().__init__(path, "x+")

    def write(self, data: Any) -> int:
        """All of it, unlike the system's own."""
        left = memoryview(data).cast("B")
        size = len(left)
        self._wrote(size)
        while left:
            with disk(f"writing {self._name}", self._folder):
                left = left[super().write(left) or 0 :]
        return size


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
