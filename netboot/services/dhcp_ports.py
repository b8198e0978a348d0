"""The UDP ports that DHCP needs on its interfaces, looked at before dnsmasq takes them.

dnsmasq shares its ports without a word, and two servers on one network fight.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from functools import partial

from drophammer.errors import Unavailable
from drophammer.netns import Namespace
from netboot.monitor.ports import Door, holder

DHCP4, PXE, DHCP6 = 67, 4011, 547


@dataclass(frozen=True)
class Ports:
    """Which ports, on which interfaces, of IPv4 or IPv6."""

    interfaces: tuple[str, ...]
    numbers: tuple[int, ...]
    family: socket.AddressFamily = socket.AF_INET

    def __str__(self) -> str:
        ports = " and ".join(map(str, self.numbers))
        where = ", ".join(self.interfaces)
        return f"{where} (UDP port {ports})" if ports else where

    def check(self, namespace: Namespace) -> None:
        """Raise Unavailable when a port cannot be had, with who has it as far as that shows."""
        for interface in self.interfaces:
            for number in self.numbers or (0,):
                try:
                    namespace.call(partial(self._try, interface, number))
                except OSError as error:
                    raise Unavailable(
                        f"DHCP cannot listen on UDP port {number} of {interface}: "
                        f"{_remedy(error, number, namespace)}."
                    ) from error

    def _try(self, interface: str, number: int) -> None:
        with socket.socket(self.family, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            probe.bind(("", number))


def _remedy(error: OSError, number: int, namespace: Namespace) -> str:
    if error.errno == errno.EADDRINUSE:
        who = holder(Door("udp", number), namespace) or "another program"
        return f"{who} has it; stop that program, or serve no DHCP on this interface"
    if error.errno == errno.ENODEV:
        return "there is no such interface; correct the option interface"
    if error.errno in (errno.EPERM, errno.EACCES):
        return "this process may not; run it as root or with CAP_NET_BIND_SERVICE"
    return f"{error.strerror}; correct [netboot]network_namespace and interface"
