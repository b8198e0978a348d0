"""Whose network card an IP address belongs to: what the kernel saw on the wire, then leases.

The kernel's neighbour table is asked by netlink (rtnetlink(7), RTM_GETNEIGH), inside the
network namespace that machines are in. For machines behind a router only leases tell.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
LONGEST_WAIT = 1.0
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr
_GET, _NEW, _DONE, _ERROR = 30, 28, 3, 2
_REQUEST, _DUMP = 0x001, 0x300
_DST, _LLADDR = 1, 2
# INCOMPLETE and FAILED know no address; NOARP is our own or a group's.
_USELESS = 0x01 | 0x20 | 0x40

MakeSocket = Callable[[int, int], socket.socket]


class Neighbours:
    """The neighbour table of a network namespace, read again when it is a second old."""

    def __init__(self, make_socket: MakeSocket) -> None:
        self._make_socket = make_socket
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._read_at = float("-inf")

    def mac_of(self, ip: str) -> str | None:
        """The MAC address behind an IP address on our own links; None when it is not there."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                self._known = self._read()
                self._read_at = time.monotonic()
            return self._known.get(ip)

    def _read(self) -> dict[str, str]:
        try:
            with self._make_socket(socket.AF_NETLINK, socket.SOCK_RAW) as netlink:
                netlink.settimeout(LONGEST_WAIT)
                size = _HEADER.size + _NEIGHBOUR.size
                netlink.send(
                    _HEADER.pack(size, _GET, _REQUEST | _DUMP, 1, 0)
                    + _NEIGHBOUR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
                )
                return dict(_answers(netlink))
        except OSError as error:
            log.warning("The kernel's neighbour table cannot be read: %s", error)
            return {}


def _answers(netlink: socket.socket) -> Any:
    while True:
        data = netlink.recv(1 << 16)
        while len(data) >= _HEADER.size:
            length, kind, *_ = _HEADER.unpack_from(data)
            if kind in (_DONE, _ERROR) or length < _HEADER.size:
                return
            if kind == _NEW and (pair := neighbour(data[_HEADER.size : length])):
                yield pair
            data = data[(length + 3) & ~3 :]


def neighbour(message: bytes) -> tuple[str, str] | None:
    """(IP address, MAC address) of a struct ndmsg with its attributes; None without both."""
    if len(message) < _NEIGHBOUR.size:
        return None
    family, _, state, _, _ = _NEIGHBOUR.unpack_from(message)
    found = dict(_attributes(message[_NEIGHBOUR.size :]))
    address, mac = found.get(_DST, b""), found.get(_LLADDR, b"")
    whole = {socket.AF_INET: 4, socket.AF_INET6: 16}.get(family)
    if state & _USELESS or len(mac) != 6 or len(address) != whole:
        return None
    return socket.inet_ntop(family, address), mac.hex(":")


def _attributes(data: bytes) -> Any:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


class Clients:
    """Tells machines by their IP addresses. ``leased`` is what our DHCP server says."""

    def __init__(self, neighbours: Neighbours, leased: Callable[[str], str | None]) -> None:
        self._neighbours = neighbours
        self._leased = leased

    def mac_of(self, ip: str) -> str | None:
        """What was seen on the wire counts more: a lease may have gone to somebody else."""
        return self._neighbours.mac_of(ip) or self._leased(ip)
