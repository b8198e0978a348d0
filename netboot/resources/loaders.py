"""Completes the boot loaders of a snapshot, and names them in its root.

What sources did not deliver is looked for in the current snapshot, which will be
deleted one day (hence taken over), and then on this system (hence linked to, so
that its updates count). What is nowhere is told by name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from drophammer.errors import DrophammerError
from netboot.boot import grub
from netboot.importing.source import Entry
from netboot.resources.bootmethods import BootMethod, LoaderFile
from netboot.resources.cache import Cache, Stored
from netboot.resources.index import FileEntry, Index

log = logging.getLogger(__name__)

TAKEN_OVER, GENERATED = "former snapshot", "drophammer"


@dataclass
class Plan:
    """What the next snapshot has: files, links to this system, links in its root."""

    files: dict[str, FileEntry]
    system: dict[str, str] = field(default_factory=dict)
    root: dict[str, str] = field(default_factory=dict)

    def index(self) -> Index:
        """The index of a snapshot made of this."""
        return Index(self.files, self.system)


class LoaderLinks:
    """Works on a plan, method by method. ``current``: the snapshot to look for files in."""

    def __init__(
        self,
        methods: Sequence[BootMethod],
        cache: Cache,
        current: Path | None,
        former: Index,
        trouble: Callable[[str], None],
    ) -> None:
        self.missing: list[str] = []
        self._methods = tuple(methods)
        self._cache = cache
        self._current = current
        self._former = former
        self._trouble = trouble

    def complete(self, plan: Plan) -> None:
        """Add what is missing, and the links in the root. One that fails does not stop others."""
        for method in self._methods:
            try:
                self._complete(plan, method)
            except (DrophammerError, OSError) as error:
                self._trouble(f"Boot loaders of {method.name} for {method.arch}: {error}")

    def _complete(self, plan: Plan, method: BootMethod) -> None:
        for file in method.files:
            path = f"{method.folder}/{file.name}"
            if path not in plan.files and not self._find(plan, method, file, path):
                self.missing.append(
                    f"{path}: in no source, in no former snapshot and not on this system (package "
                    f"{file.package})."
                )
        present = set(_names(plan, method))
        if method.grub and present:
            self._write_grub(plan, method)
        for name in sorted(present):
            if any(path.startswith(name + "/") for path in plan.files):
                self._trouble(f"{method.folder}/{name}: an image's folder has this name already.")
            else:
                plan.root.setdefault(name, f"{method.folder}/{name}")
        for name, inside in method.aliases:
            if any(path.startswith(f"{method.folder}/{inside}") for path in _all(plan)):
                plan.root.setdefault(name, f"{method.folder}/{inside}".rstrip("/"))

    def _find(self, plan: Plan, method: BootMethod, file: LoaderFile, path: str) -> bool:
        old = self._in_current(path, file.name)
        if old is not None:
            known = self._former.files.get(path)
            stored = self._cache.get(known.sha256) if known else None
            plan.files[path] = _entry(stored or self._cache.adopt(old), known)
            return True
        system = next((place for place in file.places if Path(place).is_file()), None)
        if system is not None:
            plan.system[path] = system
        return system is not None

    def _in_current(self, path: str, name: str) -> Path | None:
        """A file of the current snapshot itself: its links to the system are looked up anew."""
        if self._current is None:
            return None
        root = os.path.realpath(self._current)
        for place in (path, name, f"syslinux/{name}"):
            found = os.path.realpath(os.path.join(root, place))
            if os.path.isfile(found) and found.startswith(root + "/"):
                return Path(found)
        return None

    def _write_grub(self, plan: Plan, method: BootMethod) -> None:
        """The same grub.cfg that netboot makes on request, for other TFTP servers."""
        path = f"{method.folder}/grub/grub.cfg"
        if path in plan.files:
            return
        content = grub.start().encode()

        def fetch(out: BinaryIO) -> None:
            out.write(content)

        known = self._former.files.get(path)
        stored = self._cache.get(known.sha256) if known and known.source == GENERATED else None
        if stored is None or self._cache.path(stored.sha256).read_bytes() != content:
            stored = self._cache.add(Entry(path, None, len(content), "", fetch), lambda _: None)
        plan.files[path] = FileEntry(stored.sha256, stored.size, stored.mtime_ns, "", GENERATED)


def _entry(stored: Stored, known: FileEntry | None) -> FileEntry:
    version = known.version if known else ""
    return FileEntry(stored.sha256, stored.size, stored.mtime_ns, version, TAKEN_OVER)


def _all(plan: Plan) -> Iterator[str]:
    yield from plan.files
    yield from plan.system


def _names(plan: Plan, method: BootMethod) -> Iterator[str]:
    """What lies in the method's folder itself."""
    start = method.folder + "/"
    for path in _all(plan):
        if path.startswith(start) and "/" not in path[len(start) :]:
            yield path[len(start) :]
