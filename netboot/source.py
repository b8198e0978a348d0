"""Where boot files come from: a path in, what this machine gets for it out.

The same for TFTP and HTTP. Scripts are made on request and never stored; kernels
and ramdisks are found only by the key of a boot that is going on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from drophammer.bootspec import BootSpec
from drophammer.errors import Forbidden, NotFound
from netboot import paths
from netboot.boot import grub, ipxe, pxelinux
from netboot.boot.grammar import check_spec
from netboot.content import Rendered, Request, StaticFiles, StoredFile
from netboot.loaders import Loaders
from netboot.lookup import Lookup
from netboot.paths import Wanted


class BootSource:
    """The ``content.Source`` of both servers.

    ``base_url`` is how machines reach our HTTP server, without a slash at its end;
    ``kernel_roots`` are the folders that file:// URLs may point into.
    """

    def __init__(
        self,
        lookup: Lookup,
        loaders: Loaders,
        *,
        base_url: str,
        kernel_roots: Sequence[Path],
        images_dir: Path,
    ) -> None:
        self._lookup = lookup
        self._loaders = loaders
        self._base_url = base_url
        self._kernel_roots = tuple(kernel_roots)
        self._images = StaticFiles(images_dir)

    async def open(self, request: Request) -> Rendered | StoredFile:
        """Answer one request. Raises NotFound, Forbidden, Invalid or Unavailable."""
        return await asyncio.to_thread(self.find, request)

    def find(self, request: Request) -> Rendered | StoredFile:
        """The same for callers without an event loop; asks the database and the disk."""
        if self._loaders.knows(request.path):
            return self._loaders.find(request.path)
        want = paths.wanted(request.path, request.query)
        if want is None:
            raise NotFound(_unknown(request.path))
        if want.stage == paths.IMAGE:
            if request.protocol != "http":
                raise Forbidden("Images are served over HTTP only.")
            return self._images.find(want.name)
        if want.key is not None:
            return self._boot_file(want.key, want.stage)
        return Rendered(self._script(want).encode())

    def check_files(self, spec: BootSpec) -> None:
        """See that ``spec`` can be served: its values, and that its files are there.

        Raises Invalid, NotFound or Forbidden; http(s) URLs are the other server's matter.
        """
        check_spec(spec)
        for url in (spec.kernel, spec.ramdisk):
            if urlsplit(url).scheme == "file":
                self._stored(url)

    def _script(self, want: Wanted) -> str:
        if want.mac is None:
            return ipxe.start(self._base_url) if want.stage == paths.SCRIPT else grub.start()
        boot, disk = self._renderers(want, want.mac)
        spec = self._lookup.by_mac(want.mac).spec
        return disk() if spec is None else boot(spec)

    def _renderers(
        self, want: Wanted, mac: str
    ) -> tuple[Callable[[BootSpec], str], Callable[[], str]]:
        if want.stage == paths.SCRIPT:
            return (lambda spec: ipxe.boot(spec, self._base_url)), ipxe.disk
        if paths.of_pxelinux(want.name):
            return pxelinux.boot, pxelinux.disk
        return (lambda spec: grub.boot(spec, mac)), grub.disk

    def _boot_file(self, key: str, stage: str) -> StoredFile:
        spec = self._lookup.by_key(key)
        url = spec.kernel if stage == paths.KERNEL else spec.ramdisk
        if urlsplit(url).scheme != "file":
            raise NotFound(f"The {stage} of this boot lies on another server; fetch it there.")
        return self._stored(url)

    def _stored(self, url: str) -> StoredFile:
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise Forbidden("A file:// URL must be file:/// and an absolute path, nothing else.")
        path = unquote(parts.path)
        missing: NotFound | None = None
        for root in self._kernel_roots:
            inside = _below(path, root)
            if inside is None:
                continue
            try:
                return StaticFiles(root).find(inside)
            except NotFound as error:
                missing = error
        raise missing or Forbidden(
            f"{os.path.basename(path)!r} lies in no folder that kernels and ramdisks may come "
            "from; move it into [netboot]boot_dir, or add its folder to "
            "[netboot]file_url_allowed_paths."
        )


def _below(path: str, root: Path) -> str | None:
    prefix = f"{root}/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _unknown(path: str) -> str:
    if paths.of_pxelinux(path):
        # Firmware asks by UUID first, by address last: it must hear "no" to go on.
        return "Machines are told apart by MAC address here: pxelinux.cfg/01-aa-bb-cc-dd-ee-ff."
    return f"There is no boot file {path[:100]!a}."
