"""The tree of boot resources as others see it: the current snapshot, its files, pinned URLs.

Reads only, but for a note of when a snapshot was pinned last. Making snapshots is
building.py, removing them garbage.py.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drophammer.errors import Forbidden, Invalid, NotFound
from netboot.resources import index, names, targets
from netboot.resources.bootmethods import METHODS, places_of
from netboot.resources.durable import disk
from netboot.resources.index import Image, Index
from netboot.resources.names import ImageId

CURRENT = "current"
_PINS = ".pins"
_OURS = frozenset({index.NAME, targets.NAME})


@dataclass(frozen=True)
class Snapshot:
    """One complete tree of boot files, which never changes."""

    name: str
    path: Path

    def index(self) -> Index:
        """What it consists of. Raises Unavailable when its index is damaged."""
        return index.load(self.path / index.NAME)

    def images(self) -> list[Image]:
        """Its images, sorted."""
        return self.index().images()


class Resources:
    """The boot resources below ``root``."""

    def __init__(
        self,
        root: Path,
        *,
        target_prefix: str = "iqn.2004-05.com.ubuntu:maas",
        system_folders: frozenset[str] = places_of(METHODS),
    ) -> None:
        self.root = root
        self.target_prefix = target_prefix
        self._system_folders = system_folders

    def current(self) -> Snapshot | None:
        """The snapshot that machines get; None before the first import."""
        try:
            name = os.path.basename(os.readlink(self.root / CURRENT))
        except OSError:
            return None
        return self.snapshot(name)

    def snapshot(self, name: str) -> Snapshot | None:
        """The snapshot of that name; None when there is none (any more)."""
        path = self.root / name
        return Snapshot(name, path) if names.is_snapshot(name) and path.is_dir() else None

    def snapshots(self) -> list[Snapshot]:
        """All that are kept, oldest first."""
        try:
            found = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return []
        return [made for made in map(self.snapshot, found) if made is not None]

    def find(self, path: str) -> Path:
        """The file that a machine asks for, with all links followed.

        ``path`` begins with a snapshot's name, or means the current one. Raises NotFound or
        Forbidden.
        """
        first, _, rest = path.partition("/")
        if names.is_snapshot(first):
            snapshot, inside = self.snapshot(first), rest
        else:
            snapshot, inside = self.current(), path
        parts = inside.split("/")
        if "\0" in path or ".." in parts:
            raise Forbidden("The path leads outside of the boot resources.")
        if snapshot is None or parts[0] in _OURS or not inside:
            raise NotFound(f"There is no boot resource {_shown(path)}.")
        return self._file(snapshot, inside, path)

    def _file(self, snapshot: Snapshot, inside: str, path: str) -> Path:
        try:
            root = os.path.realpath(snapshot.path, strict=True)
            full = os.path.realpath(os.path.join(root, inside), strict=True)
            mode = os.stat(full, follow_symlinks=False).st_mode
        except OSError:
            raise NotFound(f"There is no boot resource {_shown(path)}.") from None
        if not full.startswith(root + "/") and os.path.dirname(full) not in self._real_folders():
            raise Forbidden(f"{_shown(path)} leads outside of the boot resources.")
        if not stat.S_ISREG(mode):
            raise NotFound(f"{_shown(path)} is not a file.")
        return Path(full)

    def _real_folders(self) -> set[str]:
        return {os.path.realpath(folder) for folder in self._system_folders}

    # Pins

    def pin(self, urls: Sequence[str]) -> list[str]:
        """The URLs with every boot resource among them named in one and the same snapshot.

        Other URLs come back as they are. Raises Invalid for what is no boot resource's URL or
        names two snapshots, NotFound for a file that is not there.
        """
        parsed = [names.parse_url(url) if names.is_resource(url) else None for url in urls]
        asked = {found[0] for found in parsed if found and found[0]}
        if not any(parsed):
            return list(urls)
        if len(asked) > 1:
            raise Invalid(
                f"One boot cannot take its files from the snapshots {' and '.join(sorted(asked))}; "
                "name one of them, or none."
            )
        wanted = next(iter(asked), None)
        self._chosen(wanted)
        with self.pins_lock(fcntl.LOCK_SH):
            snapshot = self._chosen(wanted)
            for found in parsed:
                if found is not None:
                    self.find(f"{snapshot.name}/{found[1]}")
            if snapshot != self.current():
                # Its row is written only after this: until then its age protects it.
                os.utime(snapshot.path)
        return [
            url if found is None else names.pinned_url(snapshot.name, found[1])
            for url, found in zip(urls, parsed, strict=True)
        ]

    def _chosen(self, name: str | None) -> Snapshot:
        snapshot = self.snapshot(name) if name else self.current()
        if snapshot is None:
            raise NotFound(
                f"The boot resources {name} are not kept any more; leave the snapshot's name out "
                "of the URL to boot the current ones."
                if name
                else "No boot resources have been imported yet: `drophammer images import` does."
            )
        return snapshot

    def root_target(self, url: str) -> str:
        """The iSCSI name under which the root file system at a pinned URL is exported.

        Raises Invalid or NotFound.
        """
        name, path = names.parse_url(url)
        found = names.image_file(path)
        if found is None or found[1] not in targets.ROOT_FILES:
            raise Invalid(
                f"{url} is no root file system; those are called {' or '.join(targets.ROOT_FILES)}."
            )
        file = self.find(f"{name}/{path}" if name else path)
        first = targets.root_file({entry.name for entry in file.parent.iterdir()})
        if first != found[1]:
            raise Invalid(f"{url}: the root file system of this image is {first}; name that.")
        return targets.target_name(self.target_prefix, found[0], name)

    def url(self, image: ImageId, file: str) -> str:
        """The URL of an image's file, whichever snapshot will be current."""
        return f"{names.SCHEME}/{image}/{file}"

    @contextmanager
    def pins_lock(self, kind: int) -> Iterator[None]:
        """Between those who pin (LOCK_SH) and whoever removes what is not pinned (LOCK_EX)."""
        with disk("locking", self.root):
            fd = os.open(self.root / _PINS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, kind)
            yield
        finally:
            os.close(fd)


def _shown(path: str) -> str:
    return ascii(path if len(path) <= 120 else path[:117] + "...")
