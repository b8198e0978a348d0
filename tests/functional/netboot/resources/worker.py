"""An import in a process of its own, to be killed: worker.py ROOT VERSION."""

from __future__ import annotations

import datetime
import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from drophammer.errors import DrophammerError
from netboot.importing.run import Importer
from netboot.importing.source import Entry, Known
from netboot.resources.bootmethods import BootMethod, LoaderFile
from netboot.resources.tree import Resources

IMAGES = ("ubuntu/amd64/generic/xenial/daily", "ubuntu/arm64/ga-16.04/xenial/release")
FILES = ("boot-kernel", "boot-initrd", "squashfs")
LOADER = "bootloader/pxe/i386/pxelinux.0"
METHODS = (BootMethod("pxe", "i386", (LoaderFile("pxelinux.0", (), "pxelinux"),)),)


class Versions:
    """A source all of whose files say which version they are of."""

    name = "versions"

    def __init__(self, version: str, size: int = 10) -> None:
        self._version = version
        self._size = size

    def entries(self, known: Mapping[str, Known]) -> Iterable[Entry]:
        paths = [f"{image}/{name}" for image in IMAGES for name in FILES]
        for path in (*paths, LOADER):
            content = f"{self._version} {path}\n".encode() * self._size

            def fetch(out: BinaryIO, content: bytes = content) -> None:
                out.write(content)

            yield Entry(path, hashlib.sha256(content).hexdigest(), None, self._version, fetch)


# If nothing is kept, each import removes a snapshot, too.
KEEP = datetime.timedelta(seconds=int(os.environ.get("KEEP_SECONDS", "-3600")))


def importer(root: Path, version: str, size: int = 10, keep: datetime.timedelta = KEEP) -> Importer:
    """An importer of one version."""
    sources = (Versions(version, size),)
    return Importer(Resources(root), lambda: sources, used=set, methods=METHODS, keep=keep)


if __name__ == "__main__":
    try:
        importer(Path(sys.argv[1]), sys.argv[2], int(os.environ.get("FILE_LINES", "10"))).run()
    except DrophammerError as error:
        sys.exit(error.message)
