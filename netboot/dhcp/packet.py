"""DHCPv4 messages (RFC 2131, 2132, 3396): bytes to values and back, the same bytes.

For looking on and for diagnosis: leases are dnsmasq's. What the options mean is in
options.py. ``parse`` takes any bytes and raises nothing but BadPacket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from drophammer.errors import Invalid
from netboot.dhcp.reader import Reader, bad

BOOTREQUEST, BOOTREPLY = 1, 2
ETHERNET = 1
BROADCAST = 0x8000
PAD, END, OVERLOAD = 0, 255, 52
COOKIE = b"\x63\x82\x53\x63"
FIXED = 236
"""Length of what comes before the cookie."""

LARGEST = 65507
"""The payload of the largest UDP datagram over IPv4."""

_WHAT = "DHCP message"
_SNAME_AT, _FILE_AT = 44, 108
_NO_ADDRESS = IPv4Address(0)


@dataclass(frozen=True)
class Option:
    """One option as it is on the wire. ``at`` is where it was found, for errors about it."""

    code: int
    data: bytes
    at: int = -1


@dataclass(frozen=True)
class Packet:
    """One message. ``options`` are in the order of the wire, the parts of long ones apart.

    ``extra`` are options that stood in the fields ``file`` and ``sname`` (option 52).
    """

    op: int
    xid: int
    mac: bytes
    options: tuple[Option, ...]
    htype: int = ETHERNET
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = _NO_ADDRESS
    yiaddr: IPv4Address = _NO_ADDRESS
    siaddr: IPv4Address = _NO_ADDRESS
    giaddr: IPv4Address = _NO_ADDRESS
    padding: bytes = bytes(10)
    sname_field: bytes = bytes(64)
    file_field: bytes = bytes(128)
    extra: tuple[Option, ...] = ()
    tail: bytes = b""

    def option(self, code: int) -> bytes | None:
        """The value of an option, put together where it came in parts (RFC 3396)."""
        parts = [one.data for one in (*self.options, *self.extra) if one.code == code]
        return b"".join(parts) if parts else None

    def where(self, code: int) -> int:
        """Where the option begins in the message; -1 when it is not in it."""
        found = (one.at for one in (*self.options, *self.extra) if one.code == code)
        return next(found, -1)

    @property
    def broadcast(self) -> bool:
        """True when the client cannot take an answer to its own address yet."""
        return bool(self.flags & BROADCAST)

    @property
    def client_mac(self) -> str | None:
        """The client's Ethernet address as aa:bb:cc:dd:ee:ff; None for other networks."""
        if self.htype != ETHERNET or len(self.mac) != 6:
            return None
        return self.mac.hex(":")

    @property
    def server_name(self) -> str:
        """The BOOTP field ``sname`` as text; empty when options stand in it."""
        return "" if self._overload() & 2 else text(self.sname_field)

    @property
    def boot_file(self) -> str:
        """The BOOTP field ``file`` as text; empty when options stand in it."""
        return "" if self._overload() & 1 else text(self.file_field)

    def _overload(self) -> int:
        data = self.option(OVERLOAD)
        return data[0] if data and len(data) == 1 else 0

    def sent_from(self, address: IPv4Address) -> Packet:
        """The same from a client that has an address, and can be answered there."""
        return replace(self, ciaddr=address, flags=self.flags & ~BROADCAST)

    def pack(self) -> bytes:
        """The bytes. Raises Invalid when a value does not fit its field."""
        chaddr = self.mac + self.padding
        if (len(chaddr), len(self.sname_field), len(self.file_field)) != (16, 64, 128):
            raise Invalid("DHCP message: an address field is 16 bytes, sname 64 and file 128.")
        try:
            head = bytes([self.op, self.htype, len(self.mac), self.hops])
            head += self.xid.to_bytes(4, "big") + self.secs.to_bytes(2, "big")
            head += self.flags.to_bytes(2, "big")
        except (ValueError, OverflowError) as error:
            raise Invalid(f"DHCP message: a number does not fit its field: {error}.") from None
        addresses = (self.ciaddr, self.yiaddr, self.siaddr, self.giaddr)
        fields = b"".join(address.packed for address in addresses)
        body = fields + chaddr + self.sname_field + self.file_field + COOKIE
        return head + body + pack_options(self.options) + bytes([END]) + self.tail


def parse(data: bytes) -> Packet:
    """The message in ``data``. Raises BadPacket with the position of what is wrong."""
    if len(data) > LARGEST:
        raise bad(_WHAT, LARGEST, f"{len(data)} bytes; no datagram is that long")
    reader = Reader(data, _WHAT)
    op, htype, hlen, hops = reader.take(4, "the header")
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise bad(_WHAT, 0, f"the operation is {op}; 1 is a request, 2 a reply")
    if hlen > 16:
        raise bad(_WHAT, 2, f"a hardware address of {hlen} bytes; 16 fit")
    xid, secs, flags = (reader.number(size, "the header") for size in (4, 2, 2))
    addresses = [IPv4Address(reader.take(4, "an address")) for _ in range(4)]
    chaddr = reader.take(16, "the hardware address")
    sname, file = reader.take(64, "sname"), reader.take(128, "file")
    if reader.take(4, "the magic cookie") != COOKIE:
        raise bad(_WHAT, FIXED, "no magic cookie; this is BOOTP without options, or no BOOTP")
    options, tail = _options(reader)
    return Packet(
        op=op,
        htype=htype,
        hops=hops,
        xid=xid,
        secs=secs,
        flags=flags,
        ciaddr=addresses[0],
        yiaddr=addresses[1],
        siaddr=addresses[2],
        giaddr=addresses[3],
        mac=chaddr[:hlen],
        padding=chaddr[hlen:],
        sname_field=sname,
        file_field=file,
        options=options,
        extra=_overloaded(options, file, sname),
        tail=tail,
    )


def _options(reader: Reader) -> tuple[tuple[Option, ...], bytes]:
    """All options up to END, and what comes behind it: that is padding, and not looked at."""
    found: list[Option] = []
    while True:
        at = reader.at
        if reader.left == 0:
            raise bad(_WHAT, at, "the options have no end (255)")
        code = reader.number(1, "an option")
        if code == END:
            return tuple(found), reader.rest()
        if code == PAD:
            found.append(Option(PAD, b"", at))
            continue
        size = reader.number(1, f"the length of option {code}")
        found.append(Option(code, reader.take(size, f"option {code}"), at))


def _overloaded(options: Iterable[Option], file: bytes, sname: bytes) -> tuple[Option, ...]:
    told = next((one for one in options if one.code == OVERLOAD), None)
    if told is None:
        return ()
    if len(told.data) != 1 or not 1 <= told.data[0] <= 3:
        raise bad(_WHAT, told.at, "option 52 (overload) must be one byte of 1 to 3")
    fields = [(1, file, _FILE_AT), (2, sname, _SNAME_AT)]
    found: list[Option] = []
    for bit, data, at in fields:
        if told.data[0] & bit:
            more, _ = _options(Reader(data, _WHAT, at))
            found += more
    if any(one.code == OVERLOAD for one in found):
        raise bad(_WHAT, told.at, "option 52 (overload) stands in an overloaded field")
    return tuple(found)


def pack_options(options: Iterable[Option]) -> bytes:
    """Options as bytes, those beyond 255 bytes in parts (RFC 3396)."""
    out = bytearray()
    for one in options:
        if one.code == PAD:
            out.append(PAD)
            continue
        if not 0 < one.code < END:
            raise Invalid(f"DHCP message: {one.code} is no option's number.")
        for start in range(0, max(1, len(one.data)), 255):
            part = one.data[start : start + 255]
            out += bytes([one.code, len(part)]) + part
    return bytes(out)


def text(data: bytes) -> str:
    """A text that may end with a zero byte, fit for people: what is no printable ASCII is '?'."""
    plain = data.partition(b"\0")[0]
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in plain)
