"""Boot loaders under fixed names, taken from where the distribution's packages put them.

Names a missing one together with the package that has it. Which loader a machine
is told to fetch is decided in services/dhcp_config.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drophammer.errors import Forbidden, NotFound
from netboot.content import StaticFiles, StoredFile
from netboot.paths import without_tree
from netboot.resources.tree import Resources

BIOS_IPXE, UEFI_IPXE = "undionly.kpxe", "snponly.efi"
BIOS_PXELINUX, UEFI_SHIM = "pxelinux.0", "bootx64.efi"

_FOLDER = "syslinux/"


@dataclass(frozen=True)
class Loader:
    """One loader: its name on the wire, where it may lie, and the Debian package that has it.

    ``common``: most have machines that need it, so that it is told when it is missing.
    """

    name: str
    places: tuple[str, ...]
    package: str
    common: bool = True


MODULES = (
    "ldlinux.c32",
    "libcom32.c32",
    "libutil.c32",
    "chain.c32",
    "ifcpu64.c32",
    "reboot.c32",
)
"""What our own pxelinux configurations make pxelinux load, and what those load."""

LOADERS = (
    Loader(BIOS_IPXE, ("/usr/lib/ipxe/undionly.kpxe",), "ipxe"),
    Loader(UEFI_IPXE, ("/usr/lib/ipxe/snponly.efi",), "ipxe"),
    Loader("ipxe.efi", ("/usr/lib/ipxe/ipxe.efi",), "ipxe"),
    Loader(BIOS_PXELINUX, ("/usr/lib/PXELINUX/pxelinux.0",), "pxelinux"),
    *(
        Loader(name, (f"/usr/lib/syslinux/modules/bios/{name}",), "syslinux-common")
        for name in MODULES
    ),
    Loader(UEFI_SHIM, ("/usr/lib/shim/shimx64.efi.signed",), "shim-signed"),
    Loader(
        "grubx64.efi",
        ("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",),
        "grub-efi-amd64-signed",
    ),
    Loader("snponly-arm64.efi", ("/usr/lib/ipxe/snponly-arm64.efi",), "ipxe", common=False),
    Loader(
        "grubaa64.efi",
        ("/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed",),
        "grub-efi-arm64-signed",
        common=False,
    ),
)


class Loaders:
    """Finds loaders: in the operator's folders, the boot resources, the distribution's places."""

    def __init__(
        self,
        folders: Sequence[Path],
        table: Sequence[Loader] = LOADERS,
        resources: Resources | None = None,
    ) -> None:
        self._folders = tuple(folders)
        self._table = {loader.name: loader for loader in table}
        self._resources = resources

    def knows(self, name: str) -> bool:
        """True when ``name`` is a loader's, whether it is installed or not."""
        return _base(name) in self._table

    def find(self, name: str) -> StoredFile:
        """The file of a loader; firmware may write its name in capitals. Raises NotFound."""
        loader = self._table.get(_base(name))
        if loader is None:
            raise NotFound(f"There is no boot loader {name!r}.")
        for place in self._places(loader):
            # Resolved first: names here are ours, and distributions link from folder to folder.
            real = place.resolve()
            try:
                return StaticFiles(real.parent).find(real.name)
            except NotFound:
                continue
        raise NotFound(_missing(loader))

    def _places(self, loader: Loader) -> Iterator[Path]:
        yield from (folder / loader.name for folder in self._folders)
        if self._resources is not None:
            with contextlib.suppress(NotFound, Forbidden):
                yield self._resources.find(loader.name)
        yield from map(Path, loader.places)

    def missing(self) -> list[str]:
        """A sentence for each common loader that is not installed."""
        sentences = []
        for name, loader in self._table.items():
            if not loader.common:
                continue
            try:
                self.find(name)
            except NotFound as error:
                sentences.append(error.message)
        return sentences


def _base(name: str) -> str:
    """The plain name: pxelinux asks for its modules below syslinux/, too."""
    return without_tree(name).lower().removeprefix(_FOLDER)


def _missing(loader: Loader) -> str:
    return (
        f"The boot loader {loader.name} is not installed on the server: install the package "
        f"{loader.package}, or put the file into a folder of [netboot] loader_dirs."
    )
