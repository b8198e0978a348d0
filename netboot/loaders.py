"""Boot loaders under fixed names, taken from where the distribution's packages put them.

Names a missing one together with the package that has it. Which loader a machine
is told to fetch is decided in services/dhcp_config.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drophammer.errors import NotFound
from netboot.content import StaticFiles, StoredFile

BIOS_IPXE, UEFI_IPXE = "undionly.kpxe", "snponly.efi"
BIOS_PXELINUX, UEFI_SHIM = "pxelinux.0", "bootx64.efi"


@dataclass(frozen=True)
class Loader:
    """One loader: its name on the wire, where it may lie, and the Debian package that has it."""

    name: str
    places: tuple[str, ...]
    package: str


LOADERS = (
    Loader(BIOS_IPXE, ("/usr/lib/ipxe/undionly.kpxe",), "ipxe"),
    Loader(UEFI_IPXE, ("/usr/lib/ipxe/snponly.efi",), "ipxe"),
    Loader("ipxe.efi", ("/usr/lib/ipxe/ipxe.efi",), "ipxe"),
    Loader(BIOS_PXELINUX, ("/usr/lib/PXELINUX/pxelinux.0",), "pxelinux"),
    Loader("ldlinux.c32", ("/usr/lib/syslinux/modules/bios/ldlinux.c32",), "syslinux-common"),
    Loader("reboot.c32", ("/usr/lib/syslinux/modules/bios/reboot.c32",), "syslinux-common"),
    Loader("libcom32.c32", ("/usr/lib/syslinux/modules/bios/libcom32.c32",), "syslinux-common"),
    Loader(UEFI_SHIM, ("/usr/lib/shim/shimx64.efi.signed",), "shim-signed"),
    Loader(
        "grubx64.efi",
        ("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",),
        "grub-efi-amd64-signed",
    ),
)


class Loaders:
    """Finds loaders: first in the operator's folders, then in the distribution's places."""

    def __init__(self, folders: Sequence[Path], table: Sequence[Loader] = LOADERS) -> None:
        self._folders = tuple(folders)
        self._table = {loader.name: loader for loader in table}

    def knows(self, name: str) -> bool:
        """True when ``name`` is a loader's, whether it is installed or not."""
        return name.lower() in self._table

    def find(self, name: str) -> StoredFile:
        """The file of a loader; firmware may write its name in capitals. Raises NotFound."""
        loader = self._table.get(name.lower())
        if loader is None:
            raise NotFound(f"There is no boot loader {name!r}.")
        places = [*(folder / loader.name for folder in self._folders), *map(Path, loader.places)]
        for place in places:
            # Resolved first: names here are ours, and distributions link from folder to folder.
            real = place.resolve()
            try:
                return StaticFiles(real.parent).find(real.name)
            except NotFound:
                continue
        raise NotFound(_missing(loader))

    def missing(self) -> list[str]:
        """A sentence for each loader that is not installed."""
        sentences = []
        for name in self._table:
            try:
                self.find(name)
            except NotFound as error:
                sentences.append(error.message)
        return sentences


def _missing(loader: Loader) -> str:
    return (
        f"The boot loader {loader.name} is not installed on the server: install the package "
        f"{loader.package}."
    )
