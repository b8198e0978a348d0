"""The folder of a dnsmasq: its list of machines, and its configuration.

New configuration is tried before it takes the place of the old. All files are for this
process's user alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from drophammer.errors import DrophammerError, Invalid, Unavailable
from netboot.services.command import find, run
from netboot.services.dhcp_config import DhcpFiles

PACKAGE = "dnsmasq-base"
TEST_SECONDS = 10.0
_MODE = 0o600


class Folder:
    """Writes files. ``program`` is dnsmasq."""

    def __init__(self, path: Path, program: str) -> None:
        self._path = path
        self._program = program
        self._files = DhcpFiles.below(path)

    def write_hosts(self, text: str) -> None:
        """Make this the list of machines; dnsmasq is not told of it here."""
        try:
            self._write(self._files.hosts, text)
        except OSError as error:
            raise self._unwritable(error) from error

    def install(self, config: str) -> None:
        """Make this the configuration, if dnsmasq takes it. One that is there already is left."""
        if _has(self._files.config, config):
            return
        fresh = self._files.config.with_name(self._files.config.name + ".try")
        try:
            self._write(fresh, config)
            try:
                self._try(fresh)
            except DrophammerError:
                fresh.unlink()
                raise
            fresh.replace(self._files.config)
        except OSError as error:
            raise self._unwritable(error) from error

    def _write(self, path: Path, text: str) -> None:
        # On a full disk what is there already is good enough.
        if not _has(path, text):
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, text)

    def _unwritable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"The DHCP configuration cannot be written to {self._path}: {error.strerror}. "
            "Make [netboot]state_dir a folder with room, that this process may write to."
        )

    def _try(self, config: Path) -> None:
        argv = [self._program, "--test", f"-C{config}"]
        try:
            run(argv, seconds=TEST_SECONDS, package=PACKAGE)
        except Unavailable as error:
            raise Invalid(
                f"dnsmasq refuses the configuration made from [netboot] and [dhcp]: "
                f"{error.message}. Is its version 2.86 or later?"
            ) from error

    def missing(self) -> bool:
        """Whether dnsmasq is not installed."""
        return find(self._program) is None

    def require(self) -> None:
        """Raise Unavailable when dnsmasq is not installed."""
        if self.missing():
            raise Unavailable(
                f"DHCP needs the program {self._program!r}, which is not installed here: install "
                f"the package {PACKAGE}, correct [netboot]dnsmasq, or serve no DHCP."
            )


def _has(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode() and path.stat().st_mode & 0o777 == _MODE
    except OSError:
        return False


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    # Not left to the mode of a file that somebody put there before.
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
