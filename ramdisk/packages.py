"""Debian packages by name, through the host's own apt: sources, keys, proxies and versions.

Downloads and unpacks; installs nothing. What is in the cache folder and still
has the right digest is not downloaded again.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from drophammer.errors import NotFound, Unavailable

#: Root is dropped by apt while it downloads, and could then not write to our folder.
_APT_OPTIONS = ("-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1")
_APT_SECONDS = 900

_KINDS = ("Depends: ", "PreDepends: ")

Log = Callable[[str], None]


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
            f"apt knows no package {package!r}; the ramdisk is made of Debian's packages, check"
            " /etc/apt/sources.list"
        )


def fetch(names: Sequence[str], cache: Path, log: Log) -> list[Path]:
    """Paths of the packages' files in ``cache``, in the order of their names.

    Raises NotFound for an unknown package and Unavailable when a download fails.
    """
    cache.mkdir(parents=True, exist_ok=True)
    wanted = _wanted(names)
    missing = [
        name for name, (path, digest) in wanted.items() if not _is_there(cache / path, digest)
    ]
    if missing:
        log(f"downloading {len(missing)} packages")
        _run(["apt-get", *_APT_OPTIONS, "-q", "download", *missing], cwd=cache)
    for name, (path, digest) in wanted.items():
        if not _is_there(cache / path, digest):
            raise Unavailable(f"the package {name} did not arrive as {path} with the right digest")
    return [cache / wanted[name][0] for name in names]


def unpack(package: Path, root: Path) -> None:
    """Extract a package's files below ``root``; its scripts do not run."""
    _run(["dpkg-deb", "--extract", str(package), str(root)])


def _wanted(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """``{package: (file name, "SHA256:…")}``: what apt would download."""
    said = _run(["apt-get", *_APT_OPTIONS, "-q", "download", "--print-uris", *names])
    found = {}
    for line in said.splitlines():
        words = line.split()
        if len(words) == 4 and words[0].startswith("'"):
            found[unquote(words[1]).partition("_")[0]] = (words[1], words[3])
    absent = [name for name in names if name not in found]
    if absent:
        raise NotFound(f"apt does not say where to download {', '.join(absent)}")
    return found


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
        raise NotFound(f"the ramdisk is built with {command[0]}, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took more than {_APT_SECONDS} s") from None
    if done.returncode != 0 and not accept_failure:
        raise Unavailable(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
