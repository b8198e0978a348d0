"""Where a Debian-style archive keeps kernel, initrd and boot loader of its netboot installer.

Composes URLs and reads the list of checksums; takes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drophammer.errors import ImageError, Invalid, NotFound
from netboot.importing.fetch import Fetch

KERNEL, INITRD, LOADER = "linux", "initrd.gz", "pxelinux.0"
MODULE = "boot-screens/ldlinux.c32"
"""PXELINUX 5 and later cannot run without it; older trees do not have it."""
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}")
_SUM = re.compile(r"([0-9a-f]{64})[ \t]+[*]?(?:\./)?(\S+)")
_MOST_SUMS = 4 << 20


@dataclass(frozen=True)
class NetbootTree:
    """The installer of one release for one architecture."""

    archive: str
    release: str
    arch: str
    installer: str = "ubuntu-installer"

    def __post_init__(self) -> None:
        for word in (self.release, self.arch, self.installer):
            if not _WORD.fullmatch(word):
                raise Invalid(f"{word[:80]!a} cannot be the name of a release or architecture.")

    @property
    def folder(self) -> str:
        """The URL of the folder, with single slashes behind the scheme and one at the end."""
        return f"{self._images}/netboot/{self._inside}/"

    @property
    def _images(self) -> str:
        scheme, found, rest = self.archive.partition("://")
        if not found:
            raise Invalid(
                f"ARCHIVE {self.archive[:200]!a} is not a URL such as http://HOST/dists/."
            )
        tail = f"{rest}/{self.release}/main/installer-{self.arch}/current/images"
        return f"{scheme}://{re.sub('/+', '/', tail)}"

    @property
    def _inside(self) -> str:
        return f"{self.installer}/{self.arch}"

    def url(self, name: str) -> str:
        """The URL of a file of the installer."""
        return self.folder + name

    def checksums(self, fetch: Fetch) -> dict[str, str]:
        """SHA-256 of the installer's files, by name; empty where the archive lists none.

        They also keep kernel and initrd of one build together: when the archive moves on
        between the two, one of them does not match.
        """
        try:
            raw = fetch.text(f"{self._images}/SHA256SUMS", _MOST_SUMS)
        except NotFound:
            return {}
        except ImageError:
            if fetch.by_command:  # which cannot always tell that something is not there
                return {}
            raise
        sums = (_SUM.fullmatch(line) for line in raw.decode("ascii", "replace").splitlines())
        below = f"netboot/{self._inside}/"
        return {
            found[2].removeprefix(below): found[1]
            for found in sums
            if found and found[2].startswith(below)
        }
