"""Imports of 100 images: the first one, one with nothing new, one with a single new image.

The files are small: what is measured is our own work, not a mirror's. The target for an
import with nothing new is one second.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from netboot.importing.calls import listed
from netboot.importing.run import Importer
from netboot.importing.source import Entry, Known
from netboot.resources.tree import Resources

FILES = ("boot-kernel", "boot-initrd", "squashfs")
SIZE = 20_000
TARGET_SECONDS = 1.0


class Mirror:
    """So many images, of versions that can be changed."""

    name = "mirror"

    def __init__(self, images: int) -> None:
        self.versions = {f"ubuntu/amd64/hwe-{n}/xenial/daily": 1 for n in range(images)}

    def entries(self, known: Mapping[str, Known]) -> Iterable[Entry]:
        """All of them, with checksums, as an index has them."""
        for image, version in self.versions.items():
            for name in FILES:
                content = f"{image}/{name} {version}\n".encode()
                content *= SIZE // len(content)

                def fetch(out: BinaryIO, content: bytes = content) -> None:
                    out.write(content)

                sha256 = hashlib.sha256(content).hexdigest()
                yield Entry(f"{image}/{name}", sha256, len(content), str(version), fetch)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(prog="bench imports", description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    mirror = Mirror(given.images)
    first_image = next(iter(mirror.versions))
    with tempfile.TemporaryDirectory() as folder:
        resources = Resources(Path(folder) / "boot-resources")
        importer = Importer(resources, lambda: (mirror,), used=set)
        first = seconds(importer.run)
        asking = statistics.median(
            seconds(lambda: list(mirror.entries({}))) for _ in range(given.rounds)
        )
        nothing = statistics.median(seconds(importer.run) for _ in range(given.rounds)) - asking
        mirror.versions[first_image] += 1
        one = seconds(importer.run) - asking
        thorough = seconds(lambda: importer.run(thorough=True)) - asking
        listing = statistics.median(seconds(lambda: listed(resources)) for _ in range(given.rounds))
        path = f"{first_image}/squashfs"
        found = seconds(lambda: [resources.find(path) for _ in range(2000)]) / 2000
    print(f"{given.images} images, {len(FILES)} files each")
    print(f"first import            {first:8.3f} s")
    print(f"nothing new             {nothing:8.3f} s  {nothing / TARGET_SECONDS:.2f} of the target")
    print(f"one image is new        {one:8.3f} s")
    print(f"nothing new, thorough   {thorough:8.3f} s")
    print(f"list of all             {listing:8.3f} s")
    print(f"one file found          {found * 1e6:8.0f} us")


if __name__ == "__main__":
    main()
