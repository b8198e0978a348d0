"""The sockets of a TFTP server: hearing which address was asked, answering from it.

A transfer has two: one connected to its client, which is fast and learns at once
when the client is gone, and an unconnected one on the same port, to which the
kernel gives the packets of strangers. Nothing here knows about files.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from netboot.content import Address
from netboot.services import tftp_packet as packet
from netboot.services.tftp_poll import Poll

MakeSocket = Callable[[int, int], socket.socket]
"""(address family, kind) to a new unbound socket in the right network namespace."""

# Linux numbers which the socket module of Python 3.11 does not name.
IP_PKTINFO = 8
SO_RCVBUFFORCE = 33
UDP_SEGMENT = 103

REQUEST_BUFFER = 4 << 20
IPV4_ADDRESS_PARTS = 2  # of a socket address; those of IPv6 sockets have 4
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO4.size) + socket.CMSG_SPACE(_PKTINFO6.size)


@dataclass(frozen=True)
class Datagram:
    """A request as it came; ``local`` is our address it was sent to, port 0."""

    data: bytes
    client: Address
    local: Address


def prepare_door(sock: socket.socket) -> None:
    """Make a bound request socket ready: non-blocking, roomy, telling the asked address."""
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    # Also for IPv6: a socket for both hears IPv4, and only this tells broadcasts from others.
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    try:
        # All machines of a rack ask in the same second; FORCE needs CAP_NET_ADMIN.
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, REQUEST_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, REQUEST_BUFFER)


def receive(door: socket.socket) -> Datagram | None:
    """The next datagram; None for one that must not be answered (sent to many, or cut).

    Raises BlockingIOError when there is none. RFC 1123, section 4.2.3.4: requests to
    a broadcast address are ignored.
    """
    data, ancillary, flags, client = door.recvmsg(packet.MAX_REQUEST, _ANCILLARY)
    if flags & socket.MSG_TRUNC:
        return None
    local: Address | None = None
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            # Goes before what IPv6 tells of the same datagram, which knows no broadcasts.
            local = _asked_ipv4(value, mapped=len(client) > IPV4_ADDRESS_PARTS)
            break
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            local = _asked_ipv6(value)
    return None if local is None else Datagram(data, client, local)


def _asked_ipv4(raw: bytes, *, mapped: bool) -> Address | None:
    """The address in an IP_PKTINFO, None for a broadcast; ``mapped`` on a socket for both."""
    _, mine, asked = _PKTINFO4.unpack(raw[: _PKTINFO4.size])
    if mine != asked:
        return None
    text = socket.inet_ntoa(mine)
    return (f"::ffff:{text}", 0, 0, 0) if mapped else (text, 0)


def _asked_ipv6(raw: bytes) -> Address | None:
    """The address in an IPV6_PKTINFO, None for a multicast."""
    packed, interface = _PKTINFO6.unpack(raw[: _PKTINFO6.size])
    address = ipaddress.IPv6Address(packed)
    if address.is_multicast:
        return None
    scope = interface if address.is_link_local else 0
    return (str(address), 0, 0, scope)


def send_from(door: socket.socket, data: bytes, datagram: Datagram) -> None:
    """Answer a datagram through the request socket, from the address it was sent to.

    Best effort, as all of UDP: a full buffer or an unreachable client loses it.
    """
    if door.family == socket.AF_INET6:
        raw = socket.inet_pton(socket.AF_INET6, datagram.local[0])
        info = _PKTINFO6.pack(raw, datagram.local[3])
        ancillary = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)
    else:
        info = _PKTINFO4.pack(0, socket.inet_aton(datagram.local[0]), bytes(4))
        ancillary = (socket.IPPROTO_IP, IP_PKTINFO, info)
    with contextlib.suppress(OSError):
        door.sendmsg([data], [ancillary], 0, datagram.client)


def connect_back(make_socket: MakeSocket, family: int, datagram: Datagram) -> socket.socket:
    """A socket on a fresh port of the asked address, connected to the client; raises OSError."""
    sock = make_socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind(datagram.local)
        sock.connect(datagram.client)
        # Only now: with it set before, bind could pick the port of another transfer.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        sock.close()
        raise
    return sock


class StrangerGuard:
    """Answers error 5 to whoever but the client writes to a transfer's port (RFC 1350, 4)."""

    def __init__(self, poll: Poll, make_socket: MakeSocket, connected: socket.socket) -> None:
        """Raises OSError when there is no descriptor left; the transfer can do without."""
        self._poll = poll
        self._sock = make_socket(connected.family, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind(connected.getsockname())
        except OSError:
            self._sock.close()
            raise
        poll.add(self._sock, self._stranger)

    def _stranger(self) -> None:
        with contextlib.suppress(OSError):
            data, stranger = self._sock.recvfrom(packet.MAX_REQUEST)
            # An ERROR is never answered with an ERROR.
            if data[:2] != b"\0\5":
                self._sock.sendto(
                    packet.error(packet.UNKNOWN_ID, "This port serves another machine."), stranger
                )

    def close(self) -> None:
        self._poll.remove(self._sock)
        self._sock.close()
