"""Boot resources in a folder, a source of files that a test changes as it likes."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from netboot.content import Request, StoredFile
from netboot.importing.run import Importer
from netboot.importing.source import Entry, Known
from netboot.resources.bootmethods import BootMethod
from netboot.resources.tree import Resources

XENIAL = "ubuntu/amd64/generic/xenial/daily"
TRUSTY = "ubuntu/arm64/xgene-uboot-mustang/trusty/release"


@dataclass
class Files:
    """A source: files by path. ``fetched`` remembers what was asked for."""

    name: str = "files"
    files: dict[str, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    known: Mapping[str, Known] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    sums: bool = True

    def image(self, image: str, version: str) -> None:
        for file in ("boot-kernel", "boot-initrd", "squashfs"):
            self.files[f"{image}/{file}"] = f"{version} {image} {file} ".encode() * 2000

    def entries(self, known: Mapping[str, Known]) -> Iterable[Entry]:
        self.known = known
        if "" in self.broken:
            raise self.broken[""]
        for path, content in self.files.items():
            yield self._entry(path, content)

    def _entry(self, path: str, content: bytes) -> Entry:
        def fetch(out: BinaryIO) -> None:
            self.fetched.append(path)
            if path in self.broken:
                out.write(content[:10])
                raise self.broken[path]
            for start in range(0, len(content), 50_000):
                out.write(content[start : start + 50_000])

        sha256 = hashlib.sha256(content).hexdigest() if self.sums else None
        return Entry(path, sha256, len(content), "1", fetch)


@dataclass
class World:
    """The folder, its reading side, importers over it, and what they told."""

    root: Path
    methods: tuple[BootMethod, ...] = ()
    system: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    moment: datetime.datetime | None = None

    def now(self) -> datetime.datetime:
        return self.moment or datetime.datetime.now(datetime.UTC)

    @property
    def resources(self) -> Resources:
        return Resources(self.root, system_folders=self.system)

    def importer(self, *sources: Any, **options: Any) -> Importer:
        return Importer(
            self.resources,
            lambda: sources,
            clock=self,
            **{
                "methods": self.methods,
                "used": lambda: self.used,
                "tell": lambda line, data: self.told.append((line, data)),
                **options,
            },
        )

    @property
    def current(self) -> Path:
        return self.root / os.readlink(self.root / "current")

    def pinned_paths(self, image: str) -> list[str]:
        """What a boot file names: the files of one boot, as they are pinned."""
        names = ("boot-kernel", "boot-initrd", "squashfs")
        urls = self.resources.pin([f"resource:///{image}/{name}" for name in names])
        return [url.removeprefix("resource:///") for url in urls]

    def left_overs(self) -> list[str]:
        return [
            os.path.relpath(os.path.join(folder, name), self.root)
            for folder, folders, files in os.walk(self.root)
            for name in (*folders, *files)
            if name.startswith(".partial-")
        ]

    def check_whole(self) -> str | None:
        """The name of the current snapshot, each file of which is as its index says."""
        current = self.resources.current()
        if current is None:
            assert not os.path.lexists(self.root / "current")
            return None
        index = current.index()
        assert index.files
        for path, entry in index.files.items():
            content = (current.path / path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == entry.sha256, path
        assert (current.path / "drophammer.tgt").is_file()
        return current.name


class ServedResources:
    """The boot resources as a source of our own servers."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def open(self, request: Request) -> StoredFile:
        path = self._resources.find(request.path)
        return StoredFile(path, path.stat().st_size)


@pytest.fixture
def served(world: World) -> ServedResources:
    return ServedResources(world.resources)


@pytest.fixture
def files() -> Files:
    made = Files()
    made.image(XENIAL, "one")
    made.image(TRUSTY, "one")
    return made


@pytest.fixture
def make_files() -> type[Files]:
    return Files


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "boot-resources")


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    return lambda **options: World(tmp_path / "boot-resources", **options)
