"""Imports on a disk with less and less room: full_disk.py FOLDER blocks|inodes.

FOLDER is a small file system of our own. Prints what was said, once per sentence.
"""

from __future__ import annotations

import datetime
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from drophammer.errors import DrophammerError
from netboot.importing.progress import status
from tests.functional.netboot.resources import worker
from tests.functional.netboot.resources.conftest import World

_BLOCK = 4096
_LINES = 200


def take_blocks(folder: Path, left: int) -> Callable[[], None]:
    """Take all room but ``left`` blocks; returns what gives it back."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (os.statvfs(folder).f_bavail - left) * _BLOCK)
    return filler.unlink


def take_inodes(folder: Path, left: int) -> Callable[[], None]:
    """Take all names but ``left``."""
    made = [folder / f"filler{number}" for number in range(os.statvfs(folder).f_favail - left)]
    for file in made:
        file.touch()

    def give_back() -> None:
        for file in made:
            file.unlink()

    return give_back


def imported(world: World, version: str) -> None:
    """Nothing is removed for being old, which would make room."""
    worker.importer(world.root, version, _LINES, datetime.timedelta(hours=1)).run()


def main(folder: Path, take: Callable[[Path, int], Callable[[], None]]) -> set[str]:
    world = World(folder / "boot-resources")
    imported(world, "first")
    told: set[str] = set()
    for left in range(100):
        version = f"v{left}"
        before = world.check_whole()
        give_back = take(folder, left)
        said = ""
        try:
            imported(world, version)
        except DrophammerError as error:
            said = error.message
        assert (world.check_whole() == before) is bool(said)
        if said:
            assert f"{world.root}" in said
            assert " is full: " in said, said
            assert status(world.root)["state"] == "failed"
            assert status(world.root)["message"] == said
            told.add(said.partition(" is full: ")[2].partition(" was not")[0])
        give_back()
        assert not world.left_overs() or said
        imported(world, f"again-{left}")
        assert world.check_whole() != before
        assert not world.left_overs()
        assert status(world.root)["state"] == "done"
        if not said:
            return told
        for old in world.resources.snapshots()[:-1]:
            shutil.rmtree(old.path)
    raise AssertionError("there was never room enough")


if __name__ == "__main__":
    for what in sorted(
        main(Path(sys.argv[1]), {"blocks": take_blocks, "inodes": take_inodes}[sys.argv[2]])
    ):
        print(what)
