"""What DHCPv4 options mean: numbers, and readings of those that network boot uses.

RFC 2132, 3004, 4578, 5071, 5970. A reading takes the bytes of one option and
raises BadPacket when they cannot be that option. Option 175 is in ipxe.py.
"""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address

from netboot.dhcp.packet import Packet, text
from netboot.dhcp.reader import Reader, bad

MASK, ROUTER, DNS, NTP = 1, 3, 6, 42
MESSAGE_TYPE, SERVER_ID, PARAMETERS = 53, 54, 55
MAX_SIZE, VENDOR_CLASS, CLIENT_ID = 57, 60, 61
TFTP_SERVER, BOOT_FILE, USER_CLASS = 66, 67, 77
ARCHITECTURE, INTERFACE, MACHINE_ID = 93, 94, 97
IPXE, CONFIG_FILE, PATH_PREFIX = 175, 209, 210

NAMES = {
    1: "subnet mask",
    3: "router",
    6: "DNS server",
    7: "log server",
    12: "host name",
    15: "domain name",
    17: "root path",
    28: "broadcast address",
    42: "NTP server",
    43: "vendor options",
    50: "requested address",
    51: "lease time",
    53: "message type",
    54: "server identifier",
    55: "parameter request list",
    57: "maximum message size",
    58: "renewal time",
    59: "rebinding time",
    60: "vendor class",
    61: "client identifier",
    66: "TFTP server",
    67: "boot file",
    77: "user class",
    93: "client architecture",
    94: "client network interface",
    97: "client machine identifier",
    119: "domain search",
    175: "iPXE options",
    209: "configuration file",
    210: "path prefix",
}
TYPES = {
    1: "DISCOVER",
    2: "OFFER",
    3: "REQUEST",
    4: "DECLINE",
    5: "ACK",
    6: "NAK",
    7: "RELEASE",
    8: "INFORM",
}
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6

_INTERFACES = {1: "UNDI"}


def message_type(packet: Packet) -> int:
    """What kind of message it is. Raises BadPacket when it does not say, or says nonsense."""
    data, at = packet.option(MESSAGE_TYPE), packet.where(MESSAGE_TYPE)
    if data is None:
        raise bad("DHCP message", 240, "no option 53 (message type)")
    if len(data) != 1 or data[0] not in TYPES:
        raise bad("DHCP message", at, f"option 53 (message type) is {data.hex() or 'empty'}")
    return data[0]


def server_id(packet: Packet) -> IPv4Address | None:
    """The server that answers, or that is chosen; None when not told or broken."""
    data = packet.option(SERVER_ID)
    return IPv4Address(data) if data is not None and len(data) == 4 else None


def numbers(data: bytes, size: int, what: str) -> tuple[int, ...]:
    """Numbers of ``size`` bytes, one behind the other."""
    reader, found = Reader(data, what), []
    while reader.left:
        found.append(reader.number(size, "a number"))
    return tuple(found)


def architectures(data: bytes) -> tuple[int, ...]:
    """Option 93: the architectures of the client, the likeliest first."""
    if not data:
        raise bad("option 93", 0, "no architecture in it")
    return numbers(data, 2, "option 93")


def addresses(data: bytes, what: str) -> tuple[IPv4Address, ...]:
    """A list of addresses (router, DNS and so on)."""
    return tuple(IPv4Address(number) for number in numbers(data, 4, what))


def interface(data: bytes) -> str:
    """Option 94: e.g. "UNDI 2.1"."""
    reader = Reader(data, "option 94")
    kind, major, minor = (reader.number(1, "the interface") for _ in range(3))
    if reader.left:
        raise bad("option 94", reader.at, "three bytes belong here, and more came")
    return f"{_INTERFACES.get(kind, f'type {kind}')} {major}.{minor}"


def machine_id(data: bytes) -> uuid.UUID:
    """Option 97: the machine's SMBIOS UUID.

    Its first three fields come with the low byte first, as SMBIOS has them.
    """
    reader = Reader(data, "option 97")
    kind = reader.number(1, "the type")
    if kind != 0:
        raise bad("option 97", 0, f"the type is {kind}; 0, a UUID, is the only one")
    value = reader.take(16, "the UUID")
    if reader.left:
        raise bad("option 97", reader.at, "17 bytes belong here, and more came")
    return uuid.UUID(bytes_le=value)


def client_id(data: bytes) -> str:
    """Option 61: the MAC address for type 1, else the bytes in hexadecimal."""
    if len(data) < 2:
        raise bad("option 61", len(data), "at least two bytes belong here")
    if data[0] == 1 and len(data) == 7:
        return data[1:].hex(":")
    return data.hex(":")


def user_classes(data: bytes) -> tuple[str, ...]:
    """Option 77 as RFC 3004 has it, or as most clients (iPXE too) send it: plain text.

    Each class has its length in front. Text seldom reads as such a list: its first
    letter would be a length beyond the end.
    """
    reader, found = Reader(data, "option 77"), []
    while reader.left:
        size = reader.number(1, "a length")
        if not 0 < size <= reader.left:
            return (text(data),)
        found.append(text(reader.take(size, "a class")))
    return tuple(found)


def name(code: int) -> str:
    """An option for people: "67 (boot file)"."""
    return f"{code} ({NAMES[code]})" if code in NAMES else str(code)
