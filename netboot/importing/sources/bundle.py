"""Boot loaders that come many in one archive: a package, or what a stream calls an archive.

An archive that the index knows is neither fetched nor opened, unless a file of it is asked
for that the cache has lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from drophammer.errors import ImageError, Invalid
from netboot.archives import package
from netboot.archives.member import BadArchive
from netboot.importing.source import Entry, Known


@dataclass(frozen=True)
class Bundle:
    """``opened`` gets the archive; ``paths`` says where a member belongs in a snapshot.

    ``origin`` must name the very content; None when that is not known.
    """

    shown: str
    version: str
    origin: str | None
    opened: Callable[[], BinaryIO]
    paths: Callable[[str], tuple[str, ...]]

    def entries(self, known: Mapping[str, Known]) -> Iterator[Entry]:
        """One per boot loader. Raises BadArchive, or ImageError when there is none in it."""
        if self.origin and (same := [path for path in known if self._made(known[path])]):
            for path in same:
                yield self._entry(path, known[path].sha256, known[path].size, self._again(path))
            return
        for path, content in self._contents().items():
            digest = hashlib.sha256(content).hexdigest()
            yield self._entry(path, digest, len(content), _written(content))

    def _made(self, known: Known) -> bool:
        return known.origin == self.origin

    def _entry(self, path: str, sha256: str, size: int, fetch: Callable[[BinaryIO], None]) -> Entry:
        return Entry(path, sha256, size, self.version, fetch, self.origin)

    def _again(self, path: str) -> Callable[[BinaryIO], None]:
        def fetch(out: BinaryIO) -> None:
            content = self._contents().get(path)
            if content is None:
                raise ImageError(f"{self.shown} has no file for {path} any more; import again.")
            out.write(content)

        return fetch

    def _contents(self) -> dict[str, bytes]:
        with self.opened() as file:
            try:
                found = package.files(file, lambda name: bool(self.paths(name)))
            except BadArchive as error:
                raise BadArchive(
                    f"{self.shown} was not taken: {error.message}. Nothing of it was used."
                ) from None
        if not found:
            raise ImageError(
                f"{self.shown} has none of the boot loaders we know. Take it out of the source, or "
                "give the package that has them (shim, grub, pxelinux, syslinux)."
            )
        contents: dict[str, bytes] = {}
        for name in sorted(found):
            for path in self.paths(name):
                contents.setdefault(path, found[name])
        return contents


def _written(content: bytes) -> Callable[[BinaryIO], None]:
    def fetch(out: BinaryIO) -> None:
        out.write(content)

    return fetch


def pinned(fragment: str, shown: str) -> str:
    """The checksum of a URL's fragment sha256=HEX; empty when there is none. Raises Invalid."""
    if not fragment:
        return ""
    name, _, value = fragment.partition("=")
    if name != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise Invalid(f"{shown}: behind # stands sha256= and 64 hexadecimal digits, or nothing.")
    return value
