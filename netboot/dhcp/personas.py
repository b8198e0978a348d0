"""What kinds of client ask for DHCP, and the very DISCOVER that each of them sends.

For diagnosis: a server must not be able to tell such a question from a machine's.
"""

from __future__ import annotations

from dataclasses import dataclass

from netboot.dhcp import options as o
from netboot.dhcp.architectures import ARCHITECTURES, Architecture
from netboot.dhcp.packet import BOOTREQUEST, BROADCAST, Option, Packet

# What PXE firmware and iPXE ask for, and what an operating system does.
_FIRMWARE_ASKS = (1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58,
                  59, 60, 66, 67, 97, *range(128, 136))  # fmt: skip
_IPXE_ASKS = (1, 3, 6, 7, 12, 15, 17, 43, 60, 66, 67, 119, *range(128, 136), 175, 203)
_SYSTEM_ASKS = (1, 3, 6, 12, 15, 28, 42)
_PXELINUX_ASKS = (209, 210)
# Bus and features of an iPXE that speaks HTTP, TFTP and iSCSI, as one in a virtio card says them.
_IPXE_OPTIONS = bytes.fromhex("b105011af41000eb03010000170101130101110101210101150101180101")
_MAX_SIZE = 1472
_PXE_NUMBER = {16: 7, 19: 11}


@dataclass(frozen=True)
class Persona:
    """A kind of client. ``architecture`` None: an operating system, which boots nothing."""

    name: str
    title: str
    architecture: Architecture | None


SYSTEM = Persona("system", "an operating system", None)
PERSONAS = {
    one.name: one
    for one in (
        *(Persona(kind.tag, f"{kind.title} firmware", kind) for kind in ARCHITECTURES),
        SYSTEM,
    )
}


def discover(
    persona: Persona, mac: bytes, xid: int, *, ipxe: bool = False, kind: int = o.DISCOVER
) -> Packet:
    """The message; ``ipxe``: once iPXE runs on that firmware."""
    found = [
        Option(o.MESSAGE_TYPE, bytes([kind])),
        Option(o.MAX_SIZE, _MAX_SIZE.to_bytes(2, "big")),
    ]
    architecture = persona.architecture
    asked: tuple[int, ...] = _SYSTEM_ASKS
    if architecture is not None:
        number = architecture.numbers[0]
        if ipxe:
            # Whatever loaded it, iPXE boots by PXE's rules.
            number = _PXE_NUMBER.get(number, number)
        vendor = "PXEClient" if ipxe else architecture.vendor
        words = f"{vendor}:Arch:{number:05d}:UNDI:002001"
        found += [
            Option(o.ARCHITECTURE, number.to_bytes(2, "big")),
            Option(o.INTERFACE, bytes([1, 2, 1])),
            Option(o.VENDOR_CLASS, words.encode()),
        ]
        asked = (*_FIRMWARE_ASKS, *_PXELINUX_ASKS)
    if ipxe:
        found.append(Option(o.USER_CLASS, b"iPXE"))
        asked = (*_IPXE_ASKS, *_PXELINUX_ASKS)
    found.append(Option(o.PARAMETERS, bytes(asked)))
    if ipxe:
        found.append(Option(o.IPXE, _IPXE_OPTIONS))
    found.append(Option(o.CLIENT_ID, b"\x01" + mac))
    return Packet(BOOTREQUEST, xid, mac, tuple(found), flags=BROADCAST)
