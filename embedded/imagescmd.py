"""``drophammer images``: the boot resources of this host, straight from their folder.

Works whether the service runs or not: imports of both wait for each other.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from oslo_config import cfg

from drophammer.errors import DrophammerError, NotFound
from drophammer.store import Store
from embedded import beside
from embedded.imports import importer
from embedded.options import add_arguments
from embedded.statedir import database_url
from netboot.importing import uploads
from netboot.importing.calls import listed
from netboot.importing.progress import RUNNING, status
from netboot.importing.run import Importer
from netboot.importing.settings import ImportSettings
from netboot.resources.names import ImageId
from netboot.resources.settings import ResourceSettings
from netboot.resources.tree import Resources

SHOW_SECONDS = 1.0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="drophammer images", description=__doc__)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, run, what in (
        ("import", _import, "import what is new, now; 1 when something could not be had"),
        ("status", _status, "tell how far an import is, or how the last one ended"),
        ("add", _add, "give kernel, initrd and root file system of an image by hand"),
        ("list", _list, "list the images that machines can boot"),
        ("show", _show, "show the files of one image"),
        ("collect", _collect, "remove old images that no machine boots any more"),
        ("path", _path, "print where a file of an image lies"),
    ):
        command = commands.add_parser(name, help=what, description=what.capitalize())
        add_arguments(command)
        command.set_defaults(run=run)
        if name in ("add", "show", "path"):
            command.add_argument("image", metavar="OS/ARCH/SUBARCH/RELEASE/LABEL")
        if name == "path":
            command.add_argument("file", nargs="?", metavar="FILE", help="a file of the image")
        if name == "add":
            for what in ("kernel", "initrd", "root"):
                command.add_argument(f"--{what}", type=Path, metavar="FILE")
        if name == "import":
            command.add_argument(
                "--thorough", action="store_true", help="read all of the cache, to find damage"
            )
    return made


def main(argv: Sequence[str]) -> int:
    """Run one command; what goes wrong is one sentence on standard error."""
    options = parser().parse_args(argv)
    # A database that is not there yet is made by this, and is for nobody else to read.
    os.umask(0o077)
    try:
        return int(options.run(options, _configured(options)) or 0)
    except DrophammerError as error:
        print(f"drophammer images: {error.message}", file=sys.stderr)
        return 1


def _configured(options: argparse.Namespace) -> cfg.ConfigOpts:
    conf = beside.configured(options)
    beside.become_owner(ResourceSettings.from_conf(conf).root)
    return conf


def _import(options: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    root = ResourceSettings.from_conf(conf).root
    with _importer(conf) as made, _shown(root), _stopped_by_signals():
        report = made.run(wait=True, thorough=options.thorough)
    print(f"import: {report}")
    for failure in report.failures:
        print(f"drophammer images: {failure}", file=sys.stderr)
    for note in (*report.notes, *report.missing):
        print(f"note: {note}")
    return 0 if report.ok else 1


def _add(options: argparse.Namespace, conf: cfg.ConfigOpts) -> None:
    folder = ImportSettings.from_conf(conf).uploads_dir
    paths = uploads.add(
        folder, options.image, kernel=options.kernel, initrd=options.initrd, root=options.root
    )
    print(f"The next import takes {', '.join(paths)}; for one now: drophammer images import")


def _collect(options: argparse.Namespace, conf: cfg.ConfigOpts) -> None:
    with _importer(conf) as made, _stopped_by_signals():
        removed = made.collect()
    print("\n".join(f"removed {name}" for name in removed) or "nothing to remove")


def _status(options: argparse.Namespace, conf: cfg.ConfigOpts) -> None:
    told = status(ResourceSettings.from_conf(conf).root)
    print(f"{told['state']}: {told['message']}")
    if told["state"] == RUNNING:
        print(_line(told))


def _list(options: argparse.Namespace, conf: cfg.ConfigOpts) -> None:
    told = listed(_resources(conf))
    print(f"{told['snapshot'] or 'no snapshot'}, checked {told['checked_at'] or 'never'}")
    for image in told["images"]:
        size = sum(file["size"] for file in image["files"])
        names = " ".join(file["name"] for file in image["files"])
        print(f"{image['id']:<48} {size / 1e6:>9.1f} MB  {names}")


def _show(options: argparse.Namespace, conf: cfg.ConfigOpts) -> None:
    for file in _image(_resources(conf), options.image)["files"]:
        print(f"{file['url']}\n  {file['size']} bytes, SHA-256 {file['sha256']}")
        print(f"  version {file['version'] or 'unknown'}, from {file['source']}")


def _path(options: argparse.Namespace, conf: cfg.ConfigOpts) -> None:
    resources = _resources(conf)
    image = _image(resources, options.image)
    names = [file["name"] for file in image["files"]]
    if options.file is not None and options.file not in names:
        raise NotFound(f"{image['id']} has no file {options.file!a}; it has {', '.join(names)}.")
    for name in [options.file] if options.file else names:
        print(resources.find(f"{image['id']}/{name}"))


def _resources(conf: cfg.ConfigOpts) -> Resources:
    return ResourceSettings.from_conf(conf).resources()


def _image(resources: Resources, text: str) -> dict[str, Any]:
    wanted = str(ImageId.parse(text))
    for image in listed(resources)["images"]:
        if image["id"] == wanted:
            found: dict[str, Any] = image
            return found
    raise NotFound(f"There is no image {wanted}; `drophammer images list` tells what there is.")


@contextmanager
def _importer(conf: cfg.ConfigOpts) -> Iterator[Importer]:
    with closing(Store(database_url(conf))) as store:
        yield importer(conf, store)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A signal ends the import wherever it is, and lets it tidy up."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _shown(root: Path) -> Iterator[None]:
    """Show how far it is, this import's or the one that it waits for."""
    over = threading.Event()

    def show() -> None:
        while not over.wait(SHOW_SECONDS):
            told = status(root)
            if told["state"] == RUNNING and told["file"]:
                print(_line(told), flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _line(told: dict[str, Any]) -> str:
    megabytes = f"{told['bytes'] / 1e6:.1f} of {told['bytes_total'] / 1e6:.1f} MB"
    rate = f"{told['bytes_per_second'] / 1e6:.1f} MB/s"
    return (
        f"{told['file'] or 'no file'}: {megabytes}, {rate}, file {told['files'] + 1} of "
        f"{told['files_total']}"
    )
