"""DHCP as it passes a network card: packet sockets that see it, and IPv4 and UDP around it.

A packet socket sees what others answer, which no UDP socket of ours would get. Its filter is in
the kernel, so that images on the same card cost nothing here.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from ipaddress import IPv4Address

from drophammer.netns import Namespace
from netboot.dhcp.reader import Reader, bad

SERVER_PORT, CLIENT_PORT = 67, 68
LARGEST = 65535

_UDP, _ETH_P_IP = 17, 0x0800
_FRAGMENT = 0x1FFF
_BROADCAST = b"\xff" * 6
_SO_ATTACH_FILTER, _SIOCGIFHWADDR, _SIOCGIFADDR = 26, 0x8927, 0x8915
# As tcpdump writes "udp dst port 67 or 68", counted from the IP header: (code, true, false, k).
_FILTER = (
    (0x30, 0, 0, 9),  # the protocol
    (0x15, 0, 7, _UDP),
    (0x28, 0, 0, 6),  # the fragment
    (0x45, 5, 0, _FRAGMENT),
    (0xB1, 0, 0, 0),  # the header's length
    (0x48, 0, 0, 2),  # the port it goes to
    (0x15, 1, 0, SERVER_PORT),
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, 0x40000),
    (0x06, 0, 0, 0),
)


def unwrap(data: bytes) -> tuple[IPv4Address, bytes]:
    """Sender and payload of a UDP datagram in IPv4. Raises BadPacket.

    Checksums are not looked at: between virtual cards nobody fills them in.
    """
    reader = Reader(data, "IPv4 packet")
    first = reader.number(1, "the header")
    length = (first & 15) * 4
    if first >> 4 != 4 or length < 20:
        raise bad("IPv4 packet", 0, "this is no IPv4 header")
    reader.take(1, "the header")
    total = reader.number(2, "the length")
    reader.take(2, "the header")
    fragment = reader.number(2, "the fragment") & _FRAGMENT
    reader.take(1, "the header")
    protocol = reader.number(1, "the protocol")
    reader.take(2, "the header")
    source = IPv4Address(reader.take(4, "the sender"))
    reader.take(4 + length - 20, "the header")
    if fragment or protocol != _UDP:
        raise bad("IPv4 packet", 6, "no UDP datagram begins here")
    if total < length + 8:
        raise bad("IPv4 packet", 2, f"{total} bytes have no room for UDP")
    reader.take(4, "the ports")
    size = reader.number(2, "the length of UDP")
    reader.take(2, "the checksum")
    if size < 8:
        raise bad("IPv4 packet", length + 4, f"a UDP datagram of {size} bytes")
    return source, reader.take(size - 8, "the datagram")


def wrap(payload: bytes) -> bytes:
    """A datagram from a client without an address to all servers."""
    udp = struct.pack("!HHHH", CLIENT_PORT, SERVER_PORT, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, _UDP, 0)
    addresses = bytes(4) + b"\xff" * 4
    total = sum(struct.unpack("!10H", head + addresses))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + addresses + udp


class Card:
    """One network card. Raises OSError as sockets do."""

    def __init__(self, interface: str, namespace: Namespace) -> None:
        self.interface = interface
        self.socket = namespace.call(self._open)

    def _open(self) -> socket.socket:
        # Cooked: the kernel takes Ethernet and VLAN away, and tells the sender's MAC address.
        card = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            program = (ctypes.c_ubyte * (8 * len(_FILTER))).from_buffer_copy(
                b"".join(struct.pack("HBBI", *line) for line in _FILTER)
            )
            # struct sock_fprog: how many lines, and where they are.
            told = struct.pack("HL", len(_FILTER), ctypes.addressof(program))
            card.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
            card.bind((self.interface, _ETH_P_IP))
            card.setblocking(False)
            self.mac = self._ask(card, _SIOCGIFHWADDR)[2:8]
            self.address = self._own_address(card)
        except BaseException:
            card.close()
            raise
        return card

    def _own_address(self, card: socket.socket) -> IPv4Address | None:
        try:
            return IPv4Address(self._ask(card, _SIOCGIFADDR)[4:8])
        except OSError:
            return None

    def _ask(self, card: socket.socket, what: int) -> bytes:
        answer = fcntl.ioctl(card, what, struct.pack("256s", self.interface.encode()))
        return answer[16:32]

    def read(self) -> tuple[bytes, str, bool] | None:
        """(IPv4 packet, MAC of its sender, whether we sent it), or None when there is none."""
        try:
            data, (_, _, kind, _, mac) = self.socket.recvfrom(LARGEST)
        except BlockingIOError:
            return None
        return data, mac.hex(":"), kind == socket.PACKET_OUTGOING

    def broadcast(self, payload: bytes) -> None:
        """Send a DHCP message to all servers, with our own MAC address and no IP address."""
        self.socket.sendto(wrap(payload), (self.interface, _ETH_P_IP, 0, 0, _BROADCAST))

    def close(self) -> None:
        self.socket.close()
