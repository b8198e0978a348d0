"""``drophammer ramdisk unpack`` and ``repack`` on the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from drophammer.errors import DrophammerError
from ramdisk import packing
from ramdisk.archives import Archive, Limits
from ramdisk.repack import repack
from ramdisk.unpack import unpack


def unpack_main(argv: Sequence[str]) -> int:
    """``drophammer ramdisk unpack``: the exit status."""
    parser = argparse.ArgumentParser(
        prog="drophammer ramdisk unpack",
        description="Unpack a ramdisk into a folder: its last archive as files below DIR/root, "
        "the others as they are.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the ramdisk")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new or an empty folder")
    parser.add_argument(
        "--archive", type=int, metavar="N", help="unpack this one of its archives, from 1"
    )
    parser.add_argument(
        "--allow-devices", action="store_true", help="make its device nodes; for root only"
    )
    parser.add_argument(
        "--max-size",
        type=int,
        default=Limits.size >> 20,
        metavar="MIB",
        help="refuse what is larger unpacked (default: %(default)s)",
    )
    wanted = parser.parse_args(argv)

    def run() -> None:
        limits = Limits(size=wanted.max_size << 20)
        found = unpack(
            wanted.file,
            _whole(wanted.folder),
            archive=wanted.archive,
            devices=wanted.allow_devices,
            limits=limits,
        )
        for number, archive in enumerate(found, 1):
            print(_line(number, archive))

    return _told("unpack", run)


def repack_main(argv: Sequence[str]) -> int:
    """``drophammer ramdisk repack``: the exit status."""
    parser = argparse.ArgumentParser(
        prog="drophammer ramdisk repack",
        description="Pack a folder from `drophammer ramdisk unpack` again, compressed as it was. "
        "The same folder gives the same bytes.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder")
    parser.add_argument("file", type=Path, metavar="FILE", help="the ramdisk, which is replaced")
    parser.add_argument("--compress", choices=packing.KINDS, help="compress it in this way")
    parser.add_argument(
        "--mtime",
        type=int,
        metavar="SECONDS",
        default=_epoch(),
        help="give this time to all files (default: SOURCE_DATE_EPOCH, else each file's own)",
    )
    wanted = parser.parse_args(argv)

    def run() -> None:
        file = _whole(wanted.file)
        repack(wanted.folder, file, compression=wanted.compress, mtime=wanted.mtime)
        print(f"{file}: {file.stat().st_size} bytes")

    return _told("repack", run)


def _line(number: int, archive: Archive) -> str:
    return (
        f"archive {number}: {archive.members} files, {archive.size} bytes, "
        f"compression {archive.kind}, bytes {archive.start} to {archive.end} of the file"
    )


def _whole(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _epoch() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(text) if text.isdecimal() else None


def _told(command: str, run: Callable[[], None]) -> int:
    try:
        run()
    except (DrophammerError, OSError) as error:
        print(f"drophammer ramdisk {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"drophammer ramdisk {command}: interrupted", file=sys.stderr)
        return 130
    return 0
