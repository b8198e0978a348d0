"""Who has a port: what /proc tells of sockets, for sentences about conflicts.

Only looks. What /proc does not show (a program of somebody else's, when we are not root) is
"another program".
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal

from drophammer.errors import Unavailable
from drophammer.netns import Namespace

_LISTEN = "0A"
_HEX_LENGTHS = (8, 32)


@dataclass(frozen=True)
class Door:
    """A port that a service needs. Without an address: on any of them."""

    kind: Literal["tcp", "udp"]
    port: int
    address: IPv4Address | IPv6Address | None = None

    def __str__(self) -> str:
        return f"{self.kind.upper()} port {self.port}"


@dataclass(frozen=True)
class Holder:
    """A program that has a port; ``pid`` is None when /proc does not show whose it is."""

    name: str
    pid: int | None

    def __str__(self) -> str:
        return self.name if self.pid is None else f"{self.name} (pid {self.pid})"


def require(name: str, doors: Sequence[Door], namespace: Namespace) -> None:
    """Raise Unavailable when a port that a service needs is somebody else's."""
    taken = who_has(doors, namespace)
    if taken:
        raise Unavailable(f"{name} cannot be started: {taken}.")


def who_has(doors: Sequence[Door], namespace: Namespace) -> str:
    """Who has one of the ports, for people; empty when nobody does."""
    for door in doors:
        found = holder(door, namespace)
        if found is not None:
            return f"{found} has {door} that it needs; stop that program"
    return ""


def holder(door: Door, namespace: Namespace) -> Holder | None:
    """Who has ``door`` in a network namespace; None when nobody does, or it cannot be seen."""
    try:
        text = namespace.call(lambda: _sockets(door.kind))
    except OSError:
        return None
    for address, inode in listeners(text, door):
        if _meet(address, door.address):
            return _owner(inode)
    return None


def listeners(text: str, door: Door) -> Iterator[tuple[IPv4Address | IPv6Address, str]]:
    """Address and inode of each socket in ``text``, as of /proc/net/tcp, that has the port."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 10 or not words[0].endswith(":"):
            continue
        host, _, port = words[1].partition(":")
        if int(port, 16) != door.port or len(host) not in _HEX_LENGTHS:
            continue
        if door.kind == "udp" or words[3] == _LISTEN:
            yield _address(host), words[9]


def _sockets(kind: str) -> str:
    # Of the thread, and not of the process: it is the thread that is in the namespace.
    folder = Path("/proc/thread-self/net")
    texts = [path.read_text() for path in (folder / kind, folder / f"{kind}6") if path.exists()]
    return "".join(texts)


def _address(text: str) -> IPv4Address | IPv6Address:
    """The kernel writes each 32-bit word as this machine has it in memory."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    raw = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    found = ipaddress.ip_address(raw)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _meet(one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address | None) -> bool:
    if other is None or one == other or other.is_unspecified:
        return True
    # A socket on all IPv6 addresses most often takes the IPv4 ones, too.
    return one.is_unspecified and (one.version == other.version or one.version == 6)


def _owner(inode: str) -> Holder:
    wanted = f"socket:[{inode}]"
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _has(f"/proc/{entry}/fd", wanted):
            try:
                name = Path("/proc", entry, "comm").read_text().strip()
            except OSError:
                continue
            return Holder(name, int(entry))
    return Holder("another program", None)


def _has(files: str, wanted: str) -> bool:
    try:
        return any(_target(f"{files}/{name}") == wanted for name in os.listdir(files))
    except OSError:
        return False  # It has ended, or is not ours to look at.


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
