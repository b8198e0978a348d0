"""What a machine that nobody knows boots, so that it can make itself known.

Unlike a boot spec it belongs to no node, holds no key and is the same for all; so it can
be on a page that anybody may read. The texts are made in pxelinux.py, grub.py and ipxe.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drophammer.errors import Invalid
from netboot.boot.grammar import check_words

HOST = "drophammer-enlist"

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~/-]*")
_ARCH = re.compile(r"[a-z0-9_]{2,16}")


@dataclass(frozen=True)
class EnlistBoot:
    """``kernel`` and ``ramdisk`` are paths below our root, over TFTP and HTTP."""

    arch: str
    kernel: str
    ramdisk: str
    parameters: tuple[str, ...]

    def check(self) -> EnlistBoot:
        """Itself, when every value may stand in a boot file; raises Invalid."""
        if not _ARCH.fullmatch(self.arch):
            raise Invalid(f"[enlist]: {self.arch[:40]!r} is not the name of an architecture.")
        for path in (self.kernel, self.ramdisk):
            found = _PATH.match(path)
            good = found.end() if found else 0
            if good != len(path) or ".." in path.split("/"):
                raise Invalid(
                    f"[enlist]: the path {path[:200]!r} cannot stand in a boot file, from position "
                    f"{good} on."
                )
        check_words(self.parameters, "[enlist] kernel parameters")
        return self
