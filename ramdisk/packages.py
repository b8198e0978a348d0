"""Debian packages by name, through the host's own apt: sources, keys, proxies and versions.

Downloads and unpacks; installs nothing. Files are kept in ``<cache_dir>/debs``, which
ramdisk and test image share; what still has the right digest is not downloaded again.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from drophammer.errors import NotFound, Unavailable

#: Root is dropped by apt while it downloads, and could then not write to our folder.
_APT_OPTIONS = ("-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1")
_APT_SECONDS = 900

_KINDS = ("Depends: ", "PreDepends: ")

Log = Callable[[str], None]


@dataclass(frozen=True)
class Package:
    """A package as the archive offers it now. ``digest`` is apt's, such as ``SHA256:…``."""

    name: str
    file: str
    digest: str


def dependencies(package: str) -> list[str]:
    """Names of the packages that ``package`` depends on, in apt's order."""
    said = _run(["apt-cache", "depends", "--no-recommends", "--no-suggests", package])
    lines = [line.strip() for line in said.splitlines()]
    return [line.partition(": ")[2] for line in lines if line.startswith(_KINDS)]


def ensure_lists(package: str, log: Log) -> None:
    """Fetch apt's package lists if this machine has none that know ``package``."""
    if _is_known(package):
        return
    log("apt has no package lists: apt-get update")
    _run(["apt-get", "-q", "update"])
    if not _is_known(package):
        raise NotFound(
            f"apt knows no package {package!r}; ramdisk and test image are made of Debian's"
            " packages, check /etc/apt/sources.list"
        )


def lookup(names: Sequence[str]) -> list[Package]:
    """What apt would download, in the order of ``names``; the network is not used.

    Raises NotFound for an unknown package.
    """
    said = _run(["apt-get", *_APT_OPTIONS, "-q", "download", "--print-uris", *names])
    found = {}
    for line in said.splitlines():
        words = line.split()
        if len(words) == 4 and words[0].startswith("'"):
            name = unquote(words[1]).partition("_")[0]
            found[name] = Package(name, words[1], words[3])
    absent = [name for name in names if name not in found]
    if absent:
        raise NotFound(f"apt does not say where to download {', '.join(absent)}")
    return [found[name] for name in names]


def fetch(wanted: Sequence[Package], cache_dir: Path, log: Log) -> list[Path]:
    """Paths of the packages' files in the cache, in the order of ``wanted``.

    Raises Unavailable when a download fails. Several programs may do this at a time.
    """
    folder = cache_dir / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in wanted if not _is_there(folder / one.file, one.digest)]
    if missing:
        log(f"downloading {len(missing)} package{'s' if len(missing) > 1 else ''}")
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
            _download(missing, Path(scratch), folder)
    return [folder / one.file for one in wanted]


def _download(missing: Sequence[Package], scratch: Path, folder: Path) -> None:
    names = [one.name for one in missing]
    _run(["apt-get", *_APT_OPTIONS, "-q", "download", *names], cwd=scratch)
    for one in missing:
        if not _is_there(scratch / one.file, one.digest):
            raise Unavailable(
                f"the package {one.name} did not arrive as {one.file} with the right digest"
            )
        (scratch / one.file).replace(folder / one.file)


def unpack(package: Path, root: Path) -> None:
    """Extract a package's files below ``root``; its scripts do not run."""
    _run(["dpkg-deb", "--extract", str(package), str(root)])


def _is_there(path: Path, digest: str) -> bool:
    kind, _, value = digest.partition(":")
    if not path.is_file() or kind.lower() not in hashlib.algorithms_available:
        return False
    return hashlib.new(kind.lower(), path.read_bytes()).hexdigest() == value


def _is_known(package: str) -> bool:
    return "Package:" in _run(["apt-cache", "show", package], accept_failure=True)


def _run(command: Sequence[str], cwd: Path | None = None, accept_failure: bool = False) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=_APT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise NotFound(
            f"'{command[0]}' is missing: ramdisk and test image are built on Debian"
        ) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took more than {_APT_SECONDS} s") from None
    if done.returncode != 0 and not accept_failure:
        said = " ".join(done.stderr.strip().splitlines()[-3:])
        raise Unavailable(f"{command[0]} failed: {said[:500]}")
    return done.stdout
