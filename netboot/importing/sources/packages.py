"""Boot loaders out of distributions' packages: Debian packages and RPMs, by URL or path.

Only the files that ``loadernames`` knows are taken. Signatures of packages are not checked:
pin a package by ``#sha256=...`` when the way to it is not to be trusted.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from drophammer.errors import ImageError
from netboot.archives.package import LIMITS
from netboot.importing.egress import shown
from netboot.importing.fetch import Fetch
from netboot.importing.filefetch import tag
from netboot.importing.source import Entry, Known
from netboot.importing.sources import loadernames
from netboot.importing.sources.bundle import Bundle, pinned

_RULES = hashlib.sha256(repr(loadernames.RULES).encode()).hexdigest()[:8]
"""Part of each origin: with other rules, other files are taken from the same package."""


class Packages:
    """``packages`` are URLs or absolute paths, each with ``#sha256=...`` behind it if wanted."""

    def __init__(self, name: str, packages: Sequence[str], fetch: Fetch) -> None:
        self.name = name
        self._packages = [_split(package) for package in packages]
        self._fetch = fetch

    def entries(self, known: Mapping[str, Known]) -> Iterator[Entry]:
        """The boot loaders; where two packages have one, that of the first."""
        seen: set[str] = set()
        for url, sha256 in self._packages:
            for entry in self._bundle(url, sha256).entries(known):
                if entry.path not in seen:
                    seen.add(entry.path)
                    yield entry

    def _bundle(self, url: str, sha256: str) -> Bundle:
        version = f"sha256:{sha256}" if sha256 else self._tag(url)
        return Bundle(
            shown=shown(url),
            version=shown(url).rpartition("/")[2],
            origin=f"{shown(url)} {version} {_RULES}" if version else None,
            opened=lambda: self._opened(url, sha256),
            paths=loadernames.paths,
        )

    def _tag(self, url: str) -> str | None:
        if not url.startswith("/"):
            return self._fetch.tag(url)
        try:
            return tag(Path(url).stat())
        except OSError as error:
            raise _unreadable(url, error) from None

    def _opened(self, url: str, sha256: str) -> BinaryIO:
        try:
            file = self._file(url)
        except OSError as error:
            raise _unreadable(url, error) from None
        file.seek(0)
        if sha256 and (found := _sha256(file)) != sha256:
            file.close()
            raise ImageError(
                f"{shown(url)} has the SHA-256 {found}, and the source names another one "
                f"({sha256}). It was not taken; check which of both is right."
            )
        return file

    def _file(self, url: str) -> BinaryIO:
        if url.startswith("/"):
            return Path(url).open("rb")
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the bundle closes it
        try:
            self._fetch.fetch(url, file, LIMITS.packed)
        except BaseException:
            file.close()
            raise
        return file


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _split(package: str) -> tuple[str, str]:
    url, _, fragment = package.partition("#")
    return url, pinned(fragment, shown(package))


def _unreadable(path: str, error: OSError) -> ImageError:
    return ImageError(
        f"The package {path} could not be read: {error.strerror}. Check the path, and that this "
        "process may read it."
    )
