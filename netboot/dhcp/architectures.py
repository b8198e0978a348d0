"""Which loader which kind of machine is told to fetch: one table, by client architecture.

The numbers are option 93's (RFC 4578, and IANA's list of processor architecture types).
docs/dhcp.md shows the table to people.
"""

from __future__ import annotations

from dataclasses import dataclass

from netboot.loaders import BIOS_IPXE, BIOS_PXELINUX, UEFI_IPXE, UEFI_SHIM

ARM64_IPXE, ARM64_GRUB = "snponly-arm64.efi", "grubaa64.efi"
PPC64EL_GRUB = "bootppc64.bin"
HTTP_CLIENT, PXE_CLIENT = "HTTPClient", "PXEClient"


@dataclass(frozen=True)
class Architecture:
    """One kind of machine. ``tag`` is its name in dnsmasq's configuration.

    ``ipxe`` is the loader for nodes whose boot interface is not ``pxe``. ``http``: the firmware
    takes an HTTP URL. ``vendor`` is what it calls itself in option 60.
    """

    tag: str
    numbers: tuple[int, ...]
    title: str
    ipxe: str
    pxe: str
    http: bool = False

    @property
    def vendor(self) -> str:
        return HTTP_CLIENT if self.http else PXE_CLIENT


ARCHITECTURES = (
    Architecture("bios", (0,), "BIOS", BIOS_IPXE, BIOS_PXELINUX),
    Architecture("uefi", (7, 9), "UEFI", UEFI_IPXE, UEFI_SHIM),
    Architecture("arm64", (11,), "UEFI arm64", ARM64_IPXE, ARM64_GRUB),
    # Open Firmware: there is no iPXE for it, so both get GRUB.
    Architecture("ppc64el", (12,), "Open Firmware ppc64el", PPC64EL_GRUB, PPC64EL_GRUB),
    Architecture("http", (16,), "UEFI HTTP", UEFI_IPXE, UEFI_SHIM, http=True),
    Architecture("http-arm64", (19,), "UEFI HTTP arm64", ARM64_IPXE, ARM64_GRUB, http=True),
)


def by_number(number: int) -> Architecture | None:
    """The kind of machine with this number in option 93, if we boot it."""
    return next((kind for kind in ARCHITECTURES if number in kind.numbers), None)
