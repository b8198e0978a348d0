"""The settings of ``drophammer import-netboot``: environment, then file, then defaults.

The file has lines KEY=value and is read, never run: it is no shell script, and one in the
working directory counts for nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drophammer.errors import Invalid
from netboot.importing import releases

FILE = Path("/etc/drophammer/import-netboot")
NAMES = ("ARCHIVE", "RELEASES", "CURRENT_RELEASE", "ARCHES", "TFTPROOT", "DOWNLOAD", "INSTALLER")
ARCHIVE = "http://archive.ubuntu.com/ubuntu/dists/"
_LARGEST = 1 << 16
_SHELL = "$`;&|<>()\\"


@dataclass(frozen=True)
class NetbootSettings:
    """What to import, from where, and to where."""

    archive: str
    releases: tuple[str, ...]
    current_release: str
    arches: tuple[str, ...]
    tftproot: Path
    download: tuple[str, ...]
    installer: str


def read(environment: Mapping[str, str], file: Path | None) -> NetbootSettings:
    """Put the settings together. ``file`` must be there; without it FILE counts if it is there.

    Raises Invalid with file and line.
    """
    values = _file(file, must=True) if file else _file(FILE, must=False)
    values |= {name: environment[name] for name in NAMES if environment.get(name)}
    installer = values.get("INSTALLER", "ubuntu-installer")
    system = "debian" if installer.startswith("debian") else "ubuntu"
    tftproot = Path(values.get("TFTPROOT", "/var/lib/tftpboot/"))
    if not tftproot.is_absolute():
        raise Invalid(f"TFTPROOT is {str(tftproot)!a}: give an absolute path.")
    given = values.get("RELEASES", "").split()
    return NetbootSettings(
        archive=values.get("ARCHIVE", ARCHIVE),
        releases=tuple(given or releases.supported(system)),
        current_release=values.get("CURRENT_RELEASE") or releases.stable(system),
        arches=tuple(values.get("ARCHES", "amd64 i386").split()),
        tftproot=tftproot,
        download=command(values.get("DOWNLOAD", "")),
        installer=installer,
    )


def command(text: str) -> tuple[str, ...]:
    """A download command as its words. Raises Invalid."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise Invalid(f"DOWNLOAD is {text[:200]!a}: its quotes do not match ({error}).") from None


def parse(text: str, where: str) -> dict[str, str]:
    """The settings in the text of a file. Raises Invalid."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        name, equals, value = words.removeprefix("export ").partition("=")
        if not equals or name not in NAMES:
            raise Invalid(
                f"{where}, line {number}: {words[:80]!a} sets none of {', '.join(NAMES)}."
            )
        found[name] = _value(value, f"{where}, line {number}")
    return found


def _value(text: str, where: str) -> str:
    if any(character in text for character in _SHELL) or not text.isprintable():
        raise Invalid(
            f"{where}: {text[:80]!a} looks like a line for a shell. This file is read and not run: "
            "write the value as it is, in quotes if it has spaces."
        )
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        raise Invalid(f"{where}: the quotes of {text[:80]!a} do not match.") from None
    if len(words) > 1:
        raise Invalid(f"{where}: {text[:80]!a} has spaces; put the value in quotes.")
    return words[0] if words else ""


def _file(path: Path, *, must: bool) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except FileNotFoundError:
        if not must:
            return {}
        raise Invalid(f"The settings file {path} does not exist.") from None
    except OSError as error:
        raise Invalid(f"The settings file {path} cannot be read: {error.strerror}.") from None
    if len(raw) > _LARGEST:
        raise Invalid(f"The settings file {path} has more than {_LARGEST} bytes: it is none.")
    try:
        return parse(raw.decode(), str(path))
    except UnicodeDecodeError:
        raise Invalid(f"The settings file {path} is not UTF-8.") from None
