"""The folder of a dnsmasq: its list of machines, and its configuration.

New configuration is tried before it takes the place of the old. All files are for this
process's user alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from drophammer.errors import DrophammerError, Invalid, Unavailable
from netboot.services.dhcp_config import DhcpFiles
from netboot.services.process import environment

TEST_SECONDS = 10.0


class Folder:
    """Writes files. ``program`` is dnsmasq."""

    def __init__(self, path: Path, program: str) -> None:
        self._path = path
        self._program = program
        self._files = DhcpFiles.below(path)

    def write_hosts(self, text: str) -> None:
        """Make this the list of machines; dnsmasq is not told of it here."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._files.hosts, text)
        except OSError as error:
            raise self._unwritable(error) from error

    def _make_folder(self) -> None:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def install(self, config: str) -> None:
        """Make this the configuration, if dnsmasq takes it."""
        fresh = self._files.config.with_name(self._files.config.name + ".try")
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(fresh, config)
            try:
                self._try(fresh)
            except DrophammerError:
                fresh.unlink()
                raise
            fresh.replace(self._files.config)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"The DHCP configuration cannot be written to {self._path}: {error.strerror}. "
            "Make [netboot]state_dir a folder that this process may write to."
        )

    def _try(self, config: Path) -> None:
        argv = [self._program, "--test", f"-C{config}"]
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                timeout=TEST_SECONDS,
                stdin=subprocess.DEVNULL,
                env=environment(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"dnsmasq could not check its configuration: {error}") from error
        if done.returncode:
            words = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise Invalid(
                f"dnsmasq refuses the configuration made from [netboot] and [dhcp]: {words}. Is "
                "its version 2.86 or later?"
            )

    def missing(self) -> bool:
        """Whether dnsmasq is not installed."""
        return shutil.which(self._program, path=environment()["PATH"]) is None

    def require(self) -> None:
        """Raise Unavailable when dnsmasq is not installed."""
        if self.missing():
            raise Unavailable(
                f"DHCP needs the program {self._program!r}, which is not installed here: install "
                "the package dnsmasq-base, correct [netboot]dnsmasq, or serve no DHCP."
            )


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees either the old or the new one, whole."""
    fresh = path.with_name(path.name + ".new")
    # Not left to the mode of a file that somebody put there before.
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
