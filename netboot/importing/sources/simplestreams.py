"""Images and boot loaders of a simplestreams mirror, as MAAS's and Ubuntu's are.

Of each product the newest version that is whole. Signatures, dates and formats are checked
by the files beside this one; here is what is asked for, and where it belongs.
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from drophammer.errors import ImageError, Invalid, NotFound
from netboot.archives.inflate import Inflated
from netboot.archives.member import BadArchive, Limits
from netboot.importing.egress import shown
from netboot.importing.fetch import Fetch
from netboot.importing.source import Entry, Known, take
from netboot.importing.sources import signature, streamdata
from netboot.importing.sources.bundle import Bundle
from netboot.importing.sources.seen import Seen
from netboot.importing.sources.streamdata import Document, Item, Product
from netboot.resources.names import place

KERNEL, INITRD = "boot-kernel", "boot-initrd"
_ROOTS = ("squashfs", "root-image", "root-image.gz")
_ARCHIVES = ("archive.tar.xz", "archive.tar.gz")
_LARGEST_ROOT = 64 << 30
_MOST_SIGNATURE = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """What to take; an empty selection takes all."""

    arches: tuple[str, ...] = ()
    subarches: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def product(self, product: Product) -> bool:
        """Whether anything of a product is wanted."""
        if product.bootloader:
            return not self.files
        return (
            (not self.arches or product.arch in self.arches)
            and (not self.releases or product.release in self.releases)
            and (not self.labels or product.label in self.labels)
        )

    def file(self, name: str) -> bool:
        """Whether a file of an image is wanted."""
        return not self.files or name in self.files


class SimpleStreams:
    """``url`` is the mirror, or its index; ``keyring`` None takes indexes that nobody signed."""

    def __init__(
        self,
        name: str,
        url: str,
        fetch: Fetch,
        *,
        keyring: Path | None,
        state: Path,
        wanted: Wanted,
        max_age: datetime.timedelta | None = None,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self.name = name
        self._url = url
        self._base, self._index = _parts(url)
        self._fetch = fetch
        self._keyring = keyring
        self._state = state
        self._wanted = wanted
        self._max_age = max_age
        self._now = now

    def entries(self, known: Mapping[str, Known]) -> Iterator[Entry]:
        """The files of all wanted images, then the boot loaders. All documents come first."""
        seen = Seen(self._state, self._url)
        index = self._first(seen)
        products = [
            product
            for path in streamdata.paths(index)
            for product in streamdata.products(self._document(path, seen))
            if self._wanted.product(product)
        ]
        seen.keep()
        given: set[str] = set()
        for entry in self._all(products, known):
            if entry.path not in given:
                given.add(entry.path)
                yield entry

    def _all(self, products: list[Product], known: Mapping[str, Known]) -> Iterator[Entry]:
        images = [product for product in products if not product.bootloader]
        for product, subarch in _placed(images, self._wanted.subarches):
            yield from self._image(product, subarch, known)
        for product in products:
            if product.bootloader:
                yield from self._loaders(product, known)

    # -- documents

    def _first(self, seen: Seen) -> Document:
        if self._index:
            return self._document(self._index, seen)
        if self._keyring is None:
            return self._document("streams/v1/index.json", seen)
        try:
            return self._document("streams/v1/index.sjson", seen)
        except NotFound:
            return self._document("streams/v1/index.json", seen)

    def _document(self, path: str, seen: Seen) -> Document:
        what = shown(self._base + path)
        raw = self._fetch.text(self._base + path, streamdata.MOST_BYTES)
        found = streamdata.document(self._verified(raw, path, what), what)
        now = self._now()
        if found.expires is not None and found.expires < now:
            raise ImageError(f"{what} was not taken: it has expired at {found.expires:%Y-%m-%d}.")
        if self._max_age is not None and found.updated < now - self._max_age:
            raise ImageError(
                f"{what} was not taken: it is of {found.updated:%Y-%m-%d}, more than "
                f"{self._max_age.days} days ago. The mirror is behind; raise max_age_days of the "
                "source when upstream changes that seldom."
            )
        seen.check(what, found.updated, now)
        return found

    def _verified(self, raw: bytes, path: str, what: str) -> bytes:
        signed = path.endswith(".sjson")
        if self._keyring is None:
            if signed:
                raise Invalid(f"{what} is signed: give the source a keyring, or a .json index.")
            return raw
        if signed:
            return signature.signed_text(raw, self._keyring, what)
        try:
            beside = self._fetch.text(f"{self._base}{path}.gpg", _MOST_SIGNATURE)
        except NotFound as error:
            raise ImageError(f"{what} was not taken: nobody signed it. {error.message}") from None
        signature.check_detached(raw, beside, self._keyring, what)
        return raw

    # -- images

    def _image(self, product: Product, subarch: str, known: Mapping[str, Known]) -> Iterator[Entry]:
        version = _newest(product)
        if version is None:
            return
        items = product.versions[version]
        folder = "/".join((product.os, product.arch, subarch, product.release, product.label))
        for name, item in sorted(_files(items).items()):
            if self._wanted.file(name):
                place(f"{folder}/{name}")
                yield self._file(f"{folder}/{name}", version, item, known)

    def _file(self, path: str, version: str, item: Item, known: Mapping[str, Known]) -> Entry:
        url = self._base + item.path
        if item.ftype != "root-image.gz":
            fetch = partial(self._fetch.fetch, url, most=item.size)
            return Entry(path, item.sha256, item.size, version, fetch, f"sha256:{item.sha256}")
        origin, before = f"gzip sha256:{item.sha256}", known.get(path)
        same = before if before is not None and before.origin == origin else None
        return Entry(
            path,
            same.sha256 if same else None,
            same.size if same else None,
            version,
            partial(self._unpacked, item),
            origin,
        )

    def _unpacked(self, item: Item, out: BinaryIO) -> None:
        with tempfile.TemporaryFile() as packed:
            file = cast(BinaryIO, packed)
            self._fetched(item, file)
            limits = Limits(packed=item.size, unpacked=_LARGEST_ROOT, ratio=_LARGEST_ROOT)
            try:
                content = Inflated(file, limits)
                while block := content.read(1 << 20):
                    out.write(block)
            except BadArchive as error:
                raise BadArchive(
                    f"{shown(self._base + item.path)} was not taken: {error.message}."
                ) from None

    def _fetched(self, item: Item, out: BinaryIO) -> None:
        url = self._base + item.path
        fetch = partial(self._fetch.fetch, url, most=item.size)
        take(Entry(shown(url), item.sha256, item.size, "", fetch), out)
        out.seek(0)

    # -- boot loaders

    def _loaders(self, product: Product, known: Mapping[str, Known]) -> Iterator[Entry]:
        if not product.versions:
            return
        version = max(product.versions)
        for ftype, item in sorted(product.versions[version].items()):
            if item.path.endswith(_ARCHIVES) or ftype in _ARCHIVES:
                folder = f"bootloader/{product.bootloader}/{product.arch}"
                yield from Bundle(
                    shown=shown(self._base + item.path),
                    version=version,
                    origin=f"{folder} sha256:{item.sha256}",
                    opened=partial(self._opened, item),
                    paths=partial(_below, folder),
                ).entries(known)

    def _opened(self, item: Item) -> BinaryIO:
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the bundle closes it
        try:
            self._fetched(item, file)
        except BaseException:
            file.close()
            raise
        return file


def _parts(url: str) -> tuple[str, str]:
    """(where paths begin, path of the index or "") of a source's URL."""
    if not url.endswith((".json", ".sjson")):
        return url.rstrip("/") + "/", ""
    base, found, rest = url.rpartition("streams/v1/")
    if found:
        return base, found + rest
    base, _, rest = url.rpartition("/")
    return base + "/", rest


def _newest(product: Product) -> str | None:
    """The newest version that has a kernel and an initrd: mirrors are filled file by file."""
    whole = [
        version
        for version, items in product.versions.items()
        if KERNEL in items and INITRD in items
    ]
    return max(whole, default=None)


def _files(items: Mapping[str, Item]) -> dict[str, Item]:
    """By the names they get: one root file system is enough, the first kind there is."""
    found = {name: items[name] for name in (KERNEL, INITRD) if name in items}
    for name in _ROOTS:
        if name in items:
            return {**found, name.removesuffix(".gz"): items[name]}
    return found


def _placed(products: list[Product], subarches: Sequence[str]) -> Iterator[tuple[Product, str]]:
    """Each product under its own sub-architecture, and under "generic" where nobody else is.

    Of those that would do for generic machines, the release's first kernel ("ga-") is the
    one that MAAS's tools take too.
    """
    stood: set[tuple[str, ...]] = set()
    ordered = sorted(
        products, key=lambda product: (not product.subarch.startswith("ga-"), product.name)
    )
    for subarch in ("own", "generic"):
        for product in ordered:
            name = product.subarch if subarch == "own" else subarch
            key = (product.os, product.arch, name, product.release, product.label)
            if key in stood or (subarch != "own" and subarch not in product.subarches):
                continue
            stood.add(key)
            if not subarches or name in subarches:
                yield product, name


def _below(folder: str, member: str) -> tuple[str, ...]:
    return (f"{folder}/{member}",)
