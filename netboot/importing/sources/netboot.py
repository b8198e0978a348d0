"""Debian's and Ubuntu's netboot installers as images: kernel and initrd, and PXELINUX.

The same trees can be laid out for another TFTP server by ``drophammer import-netboot``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from drophammer.errors import NotFound
from netboot.importing.egress import shown
from netboot.importing.fetch import Fetch
from netboot.importing.source import Entry, Known
from netboot.importing.sources.netboottree import INITRD, KERNEL, LOADER, MODULE, NetbootTree
from netboot.resources.names import place

log = logging.getLogger(__name__)

_FILES = {KERNEL: "boot-kernel", INITRD: "boot-initrd"}
_LOADERS = {LOADER: "pxelinux.0", MODULE: "ldlinux.c32"}
_LARGEST_LOADER = 4 << 20
_BIOS = ("amd64", "i386")


class NetbootTrees:
    """``releases`` and ``arches`` of one archive; PXELINUX comes from ``current_release``."""

    def __init__(
        self,
        name: str,
        archive: str,
        fetch: Fetch,
        *,
        os: str,
        installer: str,
        arches: Sequence[str],
        releases: Callable[[], Sequence[str]],
        current_release: Callable[[], str],
        label: str,
    ) -> None:
        self.name = name
        self._archive = archive
        self._fetch = fetch
        self._os = os
        self._installer = installer
        self._arches = arches
        self._releases = releases
        self._current_release = current_release
        self._label = label

    def entries(self, known: Mapping[str, Known]) -> Iterator[Entry]:
        """Kernel and initrd of each release and architecture, then PXELINUX."""
        for release in self._releases():
            for arch in self._arches:
                tree = self._tree(release, arch)
                sums = tree.checksums(self._fetch)
                for file, name in _FILES.items():
                    path = f"{self._os}/{arch}/generic/{release}/{self._label}/{name}"
                    yield self._entry(tree, file, path, sums, known)
        yield from self._loaders(known)

    def _loaders(self, known: Mapping[str, Known]) -> Iterator[Entry]:
        arch = next((arch for arch in _BIOS if arch in self._arches), None)
        if arch is None:
            return
        tree = self._tree(self._current_release(), arch)
        sums = tree.checksums(self._fetch)
        for file, name in _LOADERS.items():
            try:
                entry = self._entry(tree, file, f"bootloader/pxe/i386/{name}", sums, known)
                if entry.origin is None:
                    # Only by fetching it can be told whether it is there.
                    content = self._fetch.text(tree.url(file), _LARGEST_LOADER)
                    entry = replace(entry, fetch=partial(_write, content))
                yield entry
            except NotFound:
                log.info("Source %s: there is no %s; it is left out.", self.name, tree.url(file))
                return

    def _tree(self, release: str, arch: str) -> NetbootTree:
        return NetbootTree(self._archive, release, arch, self._installer)

    def _entry(
        self,
        tree: NetbootTree,
        file: str,
        path: str,
        sums: Mapping[str, str],
        known: Mapping[str, Known],
    ) -> Entry:
        place(path)
        url = tree.url(file)
        fetch = partial(self._fetch.fetch, url)
        if file in sums:
            return Entry(path, sums[file], None, tree.release, fetch, f"sha256:{sums[file]}")
        tag = self._fetch.tag(url)
        origin = f"{shown(url)} {tag}" if tag else None
        before = known.get(path)
        if origin is None or before is None or before.origin != origin:
            return Entry(path, None, None, tree.release, fetch, origin)
        return Entry(path, before.sha256, before.size, tree.release, fetch, origin)


def _write(content: bytes, out: BinaryIO) -> None:
    out.write(content)
