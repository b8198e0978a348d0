"""Debian packages as material: downloaded once and unpacked, never installed.

The cache is ``<cache_dir>/debs/``, a file per package and version. Which
version is current, and its checksum, comes from apt's own signed lists.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from drophammer import errors

Log = Callable[[str], None]

_APT_SECONDS = 600
# apt drops to its own user for downloads, who may not write into our folder.
_APT = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
_URI = re.compile(
    r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) (?:SHA256:)?(?P<sha256>[0-9a-f]{64})"
)


@dataclasses.dataclass(frozen=True)
class Deb:
    """A package as the archive offers it now."""

    package: str
    file: str
    sha256: str


def lookup(package: str) -> Deb:
    """What apt would download for ``package``; no network is used.

    Raises Unavailable when apt is not there or does not know the package.
    """
    output = _run([*_APT, "--print-uris", "download", package])
    for line in output.splitlines():
        if found := _URI.match(line):
            return Deb(package, found["file"], found["sha256"])
    raise errors.Unavailable(f"apt does not know the package {package!r}: run 'apt-get update'")


def fetch(deb: Deb, cache_dir: Path, log: Log) -> Path:
    """The file of ``deb``, from the cache or from the archive, with its checksum verified."""
    folder = cache_dir / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / deb.file
    if kept.exists() and _sha256(kept) == deb.sha256:
        return kept
    log(f"downloading {deb.package}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _run([*_APT, "download", deb.package], cwd=Path(scratch))
        fresh = Path(scratch) / deb.file
        if not fresh.exists() or _sha256(fresh) != deb.sha256:
            raise errors.Unavailable(f"{deb.package} did not arrive as apt's lists describe it")
        fresh.replace(kept)
    return kept


def unpack(deb: Path, root: Path) -> None:
    """Put the files of a package below ``root``; no script of it runs."""
    _run(["dpkg", "-x", str(deb), str(root)])


def dependency(package: str, pattern: str) -> str:
    """The name of the package that ``package`` depends on and that matches ``pattern``.

    Debian's kernel packages are found this way: their names hold the version.
    """
    output = _run(["apt-cache", "depends", "--no-recommends", "--no-suggests", package])
    for line in output.splitlines():
        name = line.strip().removeprefix("Depends: ")
        if line.strip().startswith("Depends: ") and re.fullmatch(pattern, name):
            return name
    raise errors.Unavailable(f"apt does not know the package {package!r}: run 'apt-get update'")


def _run(argv: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_APT_SECONDS)
    except FileNotFoundError as error:
        raise errors.Unavailable(f"'{argv[0]}' is missing: images are built on Debian") from error
    except subprocess.TimeoutExpired as error:
        raise errors.Unavailable(f"{argv[0]} did not end in {_APT_SECONDS} s") from error
    if done.returncode != 0:
        raise errors.Unavailable(f"{' '.join(argv)} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
