"""Time for the provisioning network: the configuration of chrony, written, tested, then used.

Runs nothing but that test; ``monitor/programs.py`` has it run.
"""

from __future__ import annotations

import os
import pwd
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from drophammer.errors import DrophammerError, Invalid, Unavailable
from netboot.services.command import run
from netboot.services.program_settings import NtpSettings

TEST_SECONDS = 10.0
LOCAL_STRATUM = 10
"""How far from the truth our own clock says it is, when no server is heard of."""

PACKAGE = "chrony"
_KEY = 1


class NtpFiles:
    """The configuration of one chrony, our child or a unit of systemd."""

    def __init__(self, settings: NtpSettings, address: IPv4Address | IPv6Address) -> None:
        self._settings = settings
        self._address = address

    def argv(self, folder: Path) -> list[str]:
        """How chrony is run as our child, in the foreground, with its words on stderr."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        # The same user: the kernel takes "end with your parent" from who changes it.
        argv = [self._settings.program, "-d", "-u", user, "-f", str(folder / "chrony.conf")]
        if not self._settings.set_clock:
            argv.append("-x")
        return argv if os.geteuid() == 0 else [*argv, "-U"]

    def write_for_child(self, folder: Path) -> None:
        """The configuration of a child. Raises Invalid or Unavailable, and keeps the old one."""
        text = render(self._settings, self._address, folder)
        pid_file = folder / "chronyd.pid"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Of a former life of this host; chrony takes whoever has that pid now for another one.
            pid_file.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritten(folder, error) from error
        self._replace(folder / "chrony.conf", text, 0o600)

    def write_for_unit(self) -> None:
        """Our part of the configuration of the unit, which reads all files of that folder."""
        # chrony has dropped its privileges by the time that it reads it again.
        self._replace(
            self._settings.unit_config, render(self._settings, self._address, None), 0o644
        )

    def _replace(self, path: Path, text: str, mode: int) -> None:
        """Test the new file, and only then put it where the old one is."""
        fresh = path.with_name(path.name + ".new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "w") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._test(fresh)
            fresh.replace(path)
        except OSError as error:
            raise _unwritten(path, error) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _test(self, path: Path) -> None:
        argv = [self._settings.program, "-p", "-f", str(path)]
        try:
            run(argv, seconds=TEST_SECONDS, package=PACKAGE)
        except DrophammerError as error:
            raise Invalid(
                f"chrony does not take the configuration made of [ntp]: {error.message}."
            ) from error


def render(settings: NtpSettings, address: IPv4Address | IPv6Address, folder: Path | None) -> str:
    """The configuration. ``folder`` is that of a child; a unit has files of its own."""
    lines = ["# Written by Drophammer; what is changed here is lost."]
    key = f" key {_KEY}" if settings.key_file is not None else ""
    lines += [f"server {name} iburst{key}" for name in settings.servers]
    if settings.key_file is not None:
        lines.append(f"keyfile {settings.key_file}")
    lines += [f"local stratum {LOCAL_STRATUM}", f"bindaddress {address}", f"port {settings.port}"]
    lines += [f"allow {network}" for network in settings.allow] or ["allow"]
    if settings.set_clock:
        lines += ["makestep 1.0 3", "rtcsync"]
    if folder is not None:
        # Neither of its two ways of being given orders is open.
        lines += ["cmdport 0", "bindcmdaddress /", f"pidfile {folder / 'chronyd.pid'}"]
    return "\n".join(lines) + "\n"


def _unwritten(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The configuration of the NTP server cannot be written to {path}: {error.strerror}."
    )
