"""DHCPv6 messages (RFC 8415) and the options of network boot in them (RFC 5970).

For looking on and for diagnosis, as packet.py. ``parse`` takes any bytes and raises
nothing but BadPacket; it follows relayed messages down to the client's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

from drophammer.errors import Invalid
from netboot.dhcp.packet import LARGEST, text
from netboot.dhcp.reader import Reader, bad

SOLICIT, ADVERTISE, REQUEST, REPLY, INFORMATION_REQUEST = 1, 2, 3, 7, 11
RELAY_FORWARD, RELAY_REPLY = 12, 13
CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS, ORO, ELAPSED, RELAYED = 1, 2, 3, 5, 6, 8, 9
STATUS, USER_CLASS, VENDOR_CLASS = 13, 15, 16
BOOT_URL, BOOT_PARAMETERS, ARCHITECTURE, INTERFACE = 59, 60, 61, 62
TYPES = {
    1: "SOLICIT",
    2: "ADVERTISE",
    3: "REQUEST",
    4: "CONFIRM",
    5: "RENEW",
    6: "REBIND",
    7: "REPLY",
    8: "RELEASE",
    9: "DECLINE",
    10: "RECONFIGURE",
    11: "INFORMATION-REQUEST",
    12: "RELAY-FORW",
    13: "RELAY-REPL",
}
DEEPEST = 8
"""RFC 8415, HOP_COUNT_LIMIT: more relays than that are a loop."""

_WHAT = "DHCPv6 message"


@dataclass(frozen=True)
class Option6:
    """One option; ``at`` is where it was found."""

    code: int
    data: bytes
    at: int = -1


@dataclass(frozen=True)
class Packet6:
    """The client's message. ``relays`` are the link addresses it came through, outermost first."""

    type: int
    xid: int
    options: tuple[Option6, ...]
    relays: tuple[IPv6Address, ...] = ()

    def option(self, code: int) -> bytes | None:
        """The first option with this number."""
        return next((one.data for one in self.options if one.code == code), None)

    def pack(self) -> bytes:
        """The bytes of the client's message, without relays."""
        head = bytes([self.type]) + self.xid.to_bytes(3, "big")
        return head + pack_options(self.options)

    @property
    def boot_url(self) -> str | None:
        """Option 59: what the client is to load."""
        data = self.option(BOOT_URL)
        return None if data is None else text(data)


def parse(data: bytes) -> Packet6:
    """The message in ``data``. Raises BadPacket with the position of what is wrong."""
    if len(data) > LARGEST:
        raise bad(_WHAT, LARGEST, f"{len(data)} bytes; no datagram is that long")
    relays: list[IPv6Address] = []
    reader = Reader(data, _WHAT)
    while True:
        at = reader.at
        kind = reader.number(1, "the type")
        if kind not in TYPES:
            raise bad(_WHAT, at, f"there is no message type {kind}")
        if kind not in (RELAY_FORWARD, RELAY_REPLY):
            xid = reader.number(3, "the transaction")
            return Packet6(kind, xid, _options(reader), tuple(relays))
        if len(relays) == DEEPEST:
            raise bad(_WHAT, at, f"more than {DEEPEST} relays in a row")
        reader.take(1, "the hop count")
        relays.append(IPv6Address(reader.take(16, "the link address")))
        reader.take(16, "the peer address")
        inner = next((one for one in _options(reader) if one.code == RELAYED), None)
        if inner is None:
            raise bad(_WHAT, at, "a relay's message without the message it relays")
        reader = Reader(inner.data, _WHAT, inner.at + 4)


def _options(reader: Reader) -> tuple[Option6, ...]:
    found = []
    while reader.left:
        at = reader.at
        code = reader.number(2, "an option")
        size = reader.number(2, f"the length of option {code}")
        found.append(Option6(code, reader.take(size, f"option {code}"), at))
    return tuple(found)


def pack_options(options: Iterable[Option6]) -> bytes:
    """Options as bytes. Raises Invalid for what does not fit."""
    out = bytearray()
    for one in options:
        if not 0 <= one.code <= 0xFFFF or len(one.data) > 0xFFFF:
            raise Invalid(f"DHCPv6 message: option {one.code} does not fit.")
        out += one.code.to_bytes(2, "big") + len(one.data).to_bytes(2, "big") + one.data
    return bytes(out)


def addresses(packet: Packet6) -> tuple[IPv6Address, ...]:
    """The addresses that a server offers (IA_NA, RFC 8415 21.4 and 21.6)."""
    found = []
    for one in packet.options:
        if one.code == IA_NA:
            reader = Reader(one.data, "option 3 (IA_NA)", one.at + 4)
            reader.take(12, "IAID and times")
            for inner in _options(reader):
                if inner.code == IA_ADDRESS:
                    lease = Reader(inner.data, "option 5 (IA address)", inner.at + 4)
                    found.append(IPv6Address(lease.take(16, "the address")))
    return tuple(found)


def mac_of(duid: bytes) -> str | None:
    """The Ethernet address in a DUID of type 1 or 3 (LLT, LL); None when there is none."""
    kind, hardware = int.from_bytes(duid[:2], "big"), int.from_bytes(duid[2:4], "big")
    start = {1: 8, 3: 4}.get(kind)
    if start is None or hardware != 1 or len(duid) != start + 6:
        return None
    return duid[start:].hex(":")


def status(packet: Packet6) -> str | None:
    """What a server says went wrong (option 13): code and text; None when all is well."""
    data = packet.option(STATUS)
    if data is None:
        return None
    reader = Reader(data, "option 13 (status)")
    code = reader.number(2, "the code")
    return f"{code} {text(reader.rest())}".strip() if code else None
