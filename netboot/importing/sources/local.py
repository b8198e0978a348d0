"""Images in a folder of this host, laid out as they will be: OS/ARCH/SUBARCH/RELEASE/LABEL.

Also what ``drophammer images add`` has put aside. Whatever else lies there is passed by.
"""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from drophammer.errors import ImageError, Invalid
from netboot.importing.egress import Egress
from netboot.importing.filefetch import FileFetcher, tag
from netboot.importing.source import Entry, Known
from netboot.resources.names import place


class LocalFiles:
    """``folder`` need not be there: then it has nothing to offer, if ``optional``."""

    def __init__(self, name: str, folder: Path, *, optional: bool = False) -> None:
        self.name = name
        self._folder = folder
        self._optional = optional
        self._files = FileFetcher(Egress(file_roots=(folder,)))

    def entries(self, known: Mapping[str, Known]) -> Iterator[Entry]:
        """All files at the right depth. A link counts when it stays in the folder."""
        if not self._folder.is_dir():
            if self._optional:
                return
            raise ImageError(
                f"The source {self.name} has no folder {self._folder}: make it, or take the source "
                "out of [import] sources."
            )
        for root, folders, files in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                entry = self._entry(Path(root, name), known)
                if entry is not None:
                    yield entry

    def _entry(self, file: Path, known: Mapping[str, Known]) -> Entry | None:
        path = file.relative_to(self._folder).as_posix()
        try:
            place(path)
            found = file.stat()
        except (Invalid, OSError):
            return None
        inside = Path(os.path.realpath(file)).is_relative_to(os.path.realpath(self._folder))
        if not stat.S_ISREG(found.st_mode) or not inside:
            return None
        url = file.resolve().as_uri()
        origin = f"{file} {tag(found)}"
        changed = datetime.datetime.fromtimestamp(found.st_mtime, datetime.UTC)
        before = known.get(path)
        same = before if before is not None and before.origin == origin else None
        return Entry(
            path=path,
            sha256=same.sha256 if same else None,
            size=found.st_size,
            version=f"{changed:%Y%m%d-%H%M%S}",
            fetch=partial(self._fetch, url, found),
            origin=origin,
        )

    def _fetch(self, url: str, listed: os.stat_result, out: BinaryIO) -> None:
        """What was exchanged since may be of another version than the files beside it."""
        self._files.fetch(url, out, listed.st_size)
        if self._files.tag(url) != tag(listed):
            raise ImageError(
                f"{url} was exchanged after it was listed; nothing was taken. Import again."
            )
