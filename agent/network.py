"""This machine's addresses: waits for one, and finds the one that the API can reach.

Addresses are configured by the ramdisk's DHCP client, not here.
"""

from __future__ import annotations

import os
import socket
import time

from agent.errors import AgentError
from agent.httpclient import Url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# rtnetlink(7) groups: link, IPv4 address and route, IPv6 address and route.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_LONGEST_WAIT_SECONDS = 1.0


class NoAddress(AgentError):
    """The network did not come up in time."""


def wait_until(ready: Callable[[], str | None], seconds: float, what: str) -> str:
    """What ``ready`` returns as soon as it returns a text; asked at each change of the network.

    Raises NoAddress with ``what`` after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes:
        changes.bind((0, _GROUPS))
        while True:
            # Asked after the subscription: a change in between cannot be missed.
            if found := ready():
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoAddress(f"{what} within {seconds:g} s")
            # An address may be usable only later than it is announced (IPv6 duplicates).
            changes.settimeout(min(left, _LONGEST_WAIT_SECONDS))
            try:
                changes.recv(65536)
            except OSError:
                continue


def address_towards(url: str) -> str | None:
    """The local address from which ``url``'s host is reached; None without a route to it."""
    parsed = Url(url)
    try:
        choices = socket.getaddrinfo(parsed.host, parsed.port, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    for family, kind, protocol, _, address in choices:
        try:
            with socket.socket(family, kind, protocol) as sock:
                sock.connect(address)
                return str(sock.getsockname()[0])
        except OSError:
            continue
    return None


def wait_for_route(urls: list[str], seconds: float) -> str:
    """The address towards the first reachable of ``urls``. Raises NoAddress."""

    def ready() -> str | None:
        return next((found for url in urls if (found := address_towards(url))), None)

    return wait_until(ready, seconds, f"no address with a route to {Url(urls[0]).host}")


def macs(sys_root: str = "/sys") -> list[str]:
    """MAC addresses of the hardware interfaces, for the look-up."""
    base = os.path.join(sys_root, "class/net")
    found = []
    for name in sorted(os.listdir(base)):
        if os.path.exists(os.path.join(base, name, "device")):
            with open(os.path.join(base, name, "address"), encoding="ascii") as file:
                found.append(file.read().strip().lower())
    return found
