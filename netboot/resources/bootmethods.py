"""The table of boot methods: which boot loaders each architecture needs, and where they may lie.

A line here is all that a new method takes. Sources deliver below
bootloader/METHOD/ARCH; what they lack is looked for in the places named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from netboot.resources.names import BOOTLOADER

_MODULES = ("/usr/lib/syslinux/modules/bios", "/usr/share/syslinux", "/usr/lib/syslinux/bios")


@dataclass(frozen=True)
class LoaderFile:
    """A boot loader under the name machines ask for, and where systems have it."""

    name: str
    places: tuple[str, ...]
    package: str


@dataclass(frozen=True)
class BootMethod:
    """One way to boot one architecture.

    ``aliases`` are more links in the root of a snapshot: name to path below ``folder``,
    "" for the folder itself. ``grub``: the loader reads grub/grub.cfg.
    """

    name: str
    arch: str
    files: tuple[LoaderFile, ...]
    aliases: tuple[tuple[str, str], ...] = ()
    grub: bool = False

    @property
    def folder(self) -> str:
        """Where its files lie in a snapshot."""
        return f"{BOOTLOADER}/{self.name}/{self.arch}"


def _module(name: str) -> LoaderFile:
    return LoaderFile(name, tuple(f"{place}/{name}" for place in _MODULES), "syslinux-common")


METHODS = (
    BootMethod(
        "pxe",
        "i386",
        (
            LoaderFile(
                "pxelinux.0",
                ("/usr/lib/PXELINUX/pxelinux.0", "/usr/share/syslinux/pxelinux.0"),
                "pxelinux",
            ),
            *map(
                _module,
                ("chain.c32", "ifcpu64.c32", "ldlinux.c32", "libcom32.c32", "libutil.c32"),
            ),
        ),
        # PXELINUX looks for its modules in a folder of this name.
        aliases=(("syslinux", ""),),
    ),
    BootMethod(
        "uefi",
        "amd64",
        (
            LoaderFile("bootx64.efi", ("/usr/lib/shim/shimx64.efi.signed",), "shim-signed"),
            LoaderFile(
                "grubx64.efi",
                ("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",),
                "grub-efi-amd64-signed",
            ),
        ),
        aliases=(("grub", "grub"),),
        grub=True,
    ),
    BootMethod(
        "uefi",
        "arm64",
        (
            LoaderFile("bootaa64.efi", ("/usr/lib/shim/shimaa64.efi.signed",), "shim-signed"),
            LoaderFile(
                "grubaa64.efi",
                ("/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed",),
                "grub-efi-arm64-signed",
            ),
        ),
    ),
    BootMethod(
        "open-firmware",
        "ppc64el",
        (LoaderFile("bootppc64.bin", ("/usr/lib/grub/powerpc-ieee1275/bootppc64.bin",), "grub"),),
    ),
)


def places_of(methods: tuple[BootMethod, ...]) -> frozenset[str]:
    """The folders of the system that links in a snapshot may lead to."""
    return frozenset(
        str(PurePosixPath(place).parent)
        for method in methods
        for file in method.files
        for place in file.places
    )
