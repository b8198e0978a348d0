"""DHCP messages in plain words, for people who look for what is wrong. Pure; takes any message."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from netboot.dhcp import ipxe
from netboot.dhcp import options as o
from netboot.dhcp.architectures import by_number
from netboot.dhcp.packet import BOOTREPLY, Packet, text
from netboot.dhcp.reader import BadPacket

_NOTHING = IPv4Address(0)


def message(packet: Packet, sender: str) -> list[str]:
    """What a message says, the first line who says it. ``sender`` is the MAC address it came from.

    Raises BadPacket when it is not DHCP.
    """
    return answer(packet, sender) if packet.op == BOOTREPLY else request(packet, sender)


def answer(packet: Packet, sender: str) -> list[str]:
    """What a server says. Raises BadPacket when it is no DHCP message."""
    kind = o.TYPES[o.message_type(packet)]
    server = o.server_id(packet) or "a server without a name"
    lines = [f"{kind} from {server} ({sender or 'on this host'})"]
    if packet.yiaddr == _NOTHING:
        lines.append("address: none (a proxy: it only adds what is needed to boot)")
    else:
        lines.append(f"address: {packet.yiaddr}")
    lines += [
        f"next server (siaddr): {'none' if packet.siaddr == _NOTHING else packet.siaddr}",
        f"boot file (BOOTP field): {packet.boot_file or 'none'}",
    ]
    for code in (o.TFTP_SERVER, o.BOOT_FILE, o.CONFIG_FILE, o.PATH_PREFIX, o.VENDOR_CLASS):
        data = packet.option(code)
        if data is not None:
            lines.append(f"option {o.name(code)}: {text(data)}")
    for code in (o.MASK, o.ROUTER, o.DNS, o.NTP):
        data = packet.option(code)
        if data is not None:
            lines.append(f"option {o.name(code)}: {_addresses(data)}")
    data = packet.option(o.IPXE)
    if data is not None:
        lines.append(f"option {o.name(o.IPXE)}: {_ipxe(data)}")
    if packet.giaddr != _NOTHING:
        lines.append(f"through the relay {packet.giaddr}")
    return lines


def _addresses(data: bytes) -> str:
    try:
        return ", ".join(map(str, o.addresses(data, "an option")))
    except BadPacket:
        return f"broken ({data.hex()})"


def _ipxe(data: bytes) -> str:
    try:
        found = ipxe.parse(data)
    except BadPacket as error:
        return error.message
    if found.skips_proxy:
        return "no-pxedhcp: it need not wait for a proxy"
    return ", ".join(f"{code}={value.hex()}" for code, value in found.values.items())


def request(packet: Packet, sender: str) -> list[str]:
    """What a client asks for, and what it is. Raises BadPacket when it is no DHCP message."""
    kind = o.TYPES[o.message_type(packet)]
    lines = [f"{kind} from {packet.client_mac or packet.mac.hex(':')}"]
    if sender != packet.client_mac:
        lines.append(f"sent on by {sender}")
    if packet.giaddr != _NOTHING:
        lines.append(f"through the relay {packet.giaddr}")
    readings: tuple[tuple[int, Callable[[bytes], object]], ...] = (
        (o.ARCHITECTURE, _architectures),
        (o.INTERFACE, o.interface),
        (o.VENDOR_CLASS, text),
        (o.USER_CLASS, lambda data: ", ".join(o.user_classes(data))),
        (o.CLIENT_ID, o.client_id),
        (o.MACHINE_ID, o.machine_id),
        (o.MAX_SIZE, lambda data: ", ".join(map(str, o.numbers(data, 2, "option 57")))),
        (o.SERVER_ID, _addresses),
        (o.IPXE, _features),
        (o.PARAMETERS, lambda data: ", ".join(map(str, data))),
    )
    for code, read in readings:
        data = packet.option(code)
        if data is not None:
            lines.append(f"option {o.name(code)}: {_read(read, data)}")
    return lines


def _read(read: Callable[[bytes], object], data: bytes) -> str:
    try:
        return str(read(data))
    except BadPacket as error:
        return f"broken: {error.message}"


def _architectures(data: bytes) -> str:
    kinds = [(number, by_number(number)) for number in o.architectures(data)]
    return ", ".join(f"{number} ({kind.title})" if kind else str(number) for number, kind in kinds)


def _features(data: bytes) -> str:
    found = ipxe.parse(data)
    version = f"version {found.version}, " if found.version else ""
    return f"{version}{', '.join(found.features) or 'no features told'}"
