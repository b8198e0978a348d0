"""``drophammer import-netboot``: Debian's or Ubuntu's installer into a TFTP folder."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from drophammer.errors import DrophammerError
from netboot.importing import settingsfile
from netboot.importing.fetch import Fetch, FetchSettings
from netboot.importing.layout import Layout

_EPILOG = f"""\
Settings come from the environment, then from the file, then from defaults:
  ARCHIVE          where the releases are ({settingsfile.ARCHIVE})
  RELEASES         releases to import (all that are supported)
  CURRENT_RELEASE  release that pxelinux.0 is taken from (the stable one)
  ARCHES           architectures (amd64 i386)
  TFTPROOT         where to put them (/var/lib/tftpboot/)
  DOWNLOAD         command to fetch with, e.g. "wget --no-verbose" (our own)
  INSTALLER        folder in the tree (ubuntu-installer; or debian-installer)
"""


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(
        prog="drophammer import-netboot",
        description="Fetch kernel, initrd and pxelinux.0 of netboot installers and lay them out "
        "below TFTPROOT/maas/. What is up to date is not touched.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help=f"file with lines KEY=value (default: {settingsfile.FILE}, if it is there)",
    )
    made.add_argument(
        "--allow-files",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="let file:// URLs point into this folder; may be given several times",
    )
    return made


def main(argv: Sequence[str]) -> int:
    """Import; what goes wrong is one sentence on standard error, and the exit code 1."""
    options = parser().parse_args(argv)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        _run(options)
    except DrophammerError as error:
        print(f"drophammer import-netboot: {error.message}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _run(options: argparse.Namespace) -> None:
    settings = settingsfile.read(os.environ, options.settings)
    roots = tuple(path.resolve() for path in options.allow_files)
    fetch = Fetch(FetchSettings(download=settings.download, file_roots=roots))
    layout = Layout(settings.tftproot, fetch, lambda line: print(line, flush=True))
    layout.update(
        settings.archive,
        settings.arches,
        settings.releases,
        settings.current_release,
        settings.installer,
    )


def _end(number: int, frame: FrameType | None) -> None:
    """End as an exception does, so that temporary folders are removed."""
    raise SystemExit(128 + number)
