"""Where boot files come from: a path in, what this machine gets for it out.

The same for TFTP and HTTP. Names of ours come first: configurations are made on request
and never stored, kernels and ramdisks of a boot are found only by its key. Then loaders,
then the files of the boot resources.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from drophammer.bootspec import SAN, BootSpec, is_resource, resource_path
from drophammer.errors import Forbidden, NotFound, Unavailable
from netboot import paths, stages
from netboot.boot.grammar import is_ours
from netboot.configs import Configs
from netboot.content import Rendered, Request, StaticFiles, StoredFile
from netboot.enlist.offer import OWN_KEY, Offer
from netboot.loaders import Loaders
from netboot.lookup import Lookup
from netboot.paths import Wanted
from netboot.resources.tree import Resources

PATIENCE_SECONDS = 3.0
"""How long a machine waits for the database; firmware asks for some 8 s, then gives up."""


class BootSource:
    """The ``content.Source`` of both servers.

    ``kernel_roots`` are the folders that file:// URLs may point into.
    """

    def __init__(
        self,
        lookup: Lookup,
        loaders: Loaders,
        configs: Configs,
        resources: Resources,
        offer: Offer,
        *,
        kernel_roots: Sequence[Path],
        images_dir: Path,
    ) -> None:
        self._lookup = lookup
        self._loaders = loaders
        self._configs = configs
        self._resources = resources
        self._offer = offer
        self._kernel_roots = tuple(kernel_roots)
        self._images = StaticFiles(images_dir)

    async def open(self, request: Request) -> Rendered | StoredFile:
        """Answer one request. Raises NotFound, Forbidden, Invalid or Unavailable."""
        want = paths.wanted(request.path, request.query)
        if want is not None and want.language is not None:
            return await self._config(request, want)
        if want is not None and want.stage == paths.STAGE:
            return await asyncio.to_thread(self._report, request, want)
        return await asyncio.to_thread(self._file, request, want)

    async def _config(self, request: Request, want: Wanted) -> Rendered:
        """A configuration; what can be told without a database that does not answer, if it is so.

        Not from the thread that waits for it: all threads may wait.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                text = await asyncio.to_thread(self._configs.text, request, want)
        except (TimeoutError, Unavailable) as error:
            kept = self._configs.without_database(want)
            if kept is not None:
                return Rendered(kept.encode())
            if isinstance(error, Unavailable):
                raise
            raise Unavailable("The database did not answer in time.") from None
        return Rendered(text.encode())

    def check_files(self, node_id: int, spec: BootSpec) -> None:
        """See that ``spec`` can be served: its values, and that its files are there.

        Raises Invalid, NotFound or Forbidden; http(s) URLs are the other server's matter,
        volumes the storage's.
        """
        self._configs.check(node_id, spec)
        if spec.loader == SAN:
            return
        for url in (spec.kernel, spec.ramdisk):
            if is_ours(url):
                self._stored(url)

    def _report(self, request: Request, want: Wanted) -> Rendered:
        """A ramdisk tells how far it is; the observer writes it down."""
        if request.protocol != "http":
            raise Forbidden("Reports are taken over HTTP only.")
        stages.report(request.query)
        self._lookup.by_key(want.key or "")
        return Rendered(b"noted\n")

    def _file(self, request: Request, want: Wanted | None) -> StoredFile:
        if want is None:
            return self._static(request.path)
        if want.stage == paths.IMAGE:
            if request.protocol != "http":
                raise Forbidden("Images are served over HTTP only.")
            return self._images.find(want.name)
        if want.key == OWN_KEY:
            return self._stored(self._offer.own_file(request.client, want.stage))
        return self._boot_file(want.key or "", want.stage)

    def _static(self, path: str) -> StoredFile:
        if self._loaders.knows(path):
            return self._loaders.find(path)
        if not path:
            raise NotFound("Name a boot file.")
        return self._resource(path)

    def _resource(self, path: str) -> StoredFile:
        found = self._resources.find(path)
        return StaticFiles(found.parent).find(found.name)

    def _boot_file(self, key: str, stage: str) -> StoredFile:
        spec = self._lookup.by_key(key)
        url = spec.kernel if stage == paths.KERNEL else spec.ramdisk
        if not is_ours(url):
            raise NotFound(f"The {stage} of this boot lies on another server; fetch it there.")
        return self._stored(url)

    def _stored(self, url: str) -> StoredFile:
        if is_resource(url):
            return self._resource(resource_path(url))
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
