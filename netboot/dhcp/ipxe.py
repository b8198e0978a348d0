"""Option 175, iPXE's own: options within an option, as iPXE's ``features.h`` numbers them."""

from __future__ import annotations

from dataclasses import dataclass

from netboot.dhcp.reader import Reader, bad

_WHAT = "option 175"
FEATURES = {
    0x10: "PXE extensions",
    0x11: "iSCSI",
    0x12: "AoE",
    0x13: "HTTP",
    0x14: "HTTPS",
    0x15: "TFTP",
    0x16: "FTP",
    0x17: "DNS",
    0x18: "bzImage",
    0x19: "Multiboot",
    0x1A: "SLAM",
    0x1B: "SRP",
    0x20: "NBI",
    0x21: "PXE",
    0x22: "ELF",
    0x23: "COMBOOT",
    0x24: "EFI",
    0x25: "FCoE",
    0x26: "VLAN",
    0x27: "menus",
    0x28: "SDI",
    0x29: "NFS",
}
NO_PXEDHCP, BUS_ID, VERSION = 0xB0, 0xB1, 0xEB
_PCI = 1


@dataclass(frozen=True)
class Ipxe:
    """What an iPXE tells of itself, or is told. ``values`` has each sub-option's bytes."""

    values: dict[int, bytes]

    @property
    def features(self) -> tuple[str, ...]:
        """The features that this iPXE was built with, by name."""
        return tuple(
            FEATURES[code] for code, data in self.values.items() if code in FEATURES and any(data)
        )

    @property
    def bus_id(self) -> tuple[int, int] | None:
        """PCI vendor and device of the card it booted from."""
        data = self.values.get(BUS_ID, b"")
        if len(data) != 5 or data[0] != _PCI:
            return None
        return int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")

    @property
    def version(self) -> str | None:
        """Its version, e.g. "1.0.0"."""
        data = self.values.get(VERSION)
        return ".".join(map(str, data)) if data else None

    @property
    def skips_proxy(self) -> bool:
        """True when a server tells it not to wait for proxy DHCP."""
        return any(self.values.get(NO_PXEDHCP, b""))


def parse(data: bytes) -> Ipxe:
    """The sub-options. Raises BadPacket with the position within the option."""
    reader = Reader(data, _WHAT)
    values: dict[int, bytes] = {}
    while reader.left:
        at = reader.at
        code = reader.number(1, "a sub-option")
        if code == 0:
            continue
        if code == 255:
            break
        size = reader.number(1, f"the length of sub-option {code}")
        if code in values:
            raise bad(_WHAT, at, f"sub-option {code} comes twice")
        values[code] = reader.take(size, f"sub-option {code}")
    return Ipxe(values)
