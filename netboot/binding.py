"""Sockets that machines ask at, and sentences about those that cannot be had."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from drophammer.errors import Unavailable
from drophammer.netns import Namespace
from netboot.monitor.ports import Door, holder

EVERY_ADDRESS = IPv6Address("::")
"""All addresses that this host has and will have, of IPv4 too."""


@dataclass(frozen=True)
class Binding:
    """A port of one of our servers. ``option`` of [netboot] says which."""

    server: str
    option: str
    kind: socket.SocketKind
    address: IPv4Address | IPv6Address
    namespace: Namespace

    def open(self, port: int) -> socket.socket:
        """A socket that is bound, and listens if it is TCP. Raises Unavailable, saying why not."""
        address = self.address
        try:
            door = self._socket(address)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and address == EVERY_ADDRESS:
                return replace(self, address=IPv4Address("0.0.0.0")).open(port)
            raise Unavailable(
                f"{self.server}: the network namespace {self.namespace.name!r} cannot be "
                f"entered ({error.strerror}); correct [netboot]network_namespace, run as root."
            ) from error
        try:
            if self.kind == socket.SOCK_STREAM:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address == EVERY_ADDRESS:
                door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            door.bind((str(address), port))
            if self.kind == socket.SOCK_STREAM:
                # Here, because only listening tells that another one listens already.
                door.listen()
        except OSError as error:
            door.close()
            raise Unavailable(
                f"{self.server} cannot listen on {host(self.address)} port {port}: "
                f"{self._remedy(error, port)}."
            ) from error
        return door

    def _socket(self, address: IPv4Address | IPv6Address) -> socket.socket:
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        return self.namespace.socket(family, self.kind)

    def _remedy(self, error: OSError, port: int) -> str:
        if error.errno == errno.EADDRINUSE:
            door = Door("tcp" if self.kind == socket.SOCK_STREAM else "udp", port, self.address)
            who = holder(door, self.namespace) or "another program"
            return f"{who} has this port; stop it or change [netboot]{self.option}"
        remedy = _REMEDIES.get(error.errno or 0)
        return remedy(self.option) if remedy else f"{error.strerror}; correct [netboot]address"


def host(address: IPv4Address | IPv6Address) -> str:
    """An address as it stands in URLs."""
    return f"[{address}]" if address.version == 6 else str(address)


_REMEDIES: dict[int, Callable[[str], str]] = {
    errno.EADDRNOTAVAIL: lambda option: (
        "this host has no such address (in this network namespace); correct [netboot]address and "
        "network_namespace"
    ),
    errno.EACCES: lambda option: (
        f"ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it or change [netboot]{option}"
    ),
}
