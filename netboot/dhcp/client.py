"""Asks for DHCP as a machine would, and gathers every answer. No lease is taken.

Answers are read from the card itself, so that the servers' own cards are known, and from a socket,
which hears a server on this very host also while the card has no cable.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from drophammer.errors import Unavailable
from drophammer.netns import Namespace
from netboot.dhcp import options
from netboot.dhcp.frames import CLIENT_PORT, SERVER_PORT, Card, unwrap
from netboot.dhcp.packet import BOOTREPLY, Packet, parse
from netboot.dhcp.reader import BadPacket
from netboot.services.dhcp_ports import PXE

_LARGEST = 65535
_NOBODY = (IPv4Address(0), "", b"")


@dataclass(frozen=True)
class Offer:
    """One answer; ``mac`` is that of the card it came from, or empty where that is not seen."""

    packet: Packet
    server: IPv4Address
    mac: str


class Client:
    """Asks on one interface. Raises Unavailable when that cannot be done here."""

    def __init__(self, interface: str, namespace: Namespace) -> None:
        self.interface = interface
        self._namespace = namespace
        try:
            self._card = Card(interface, namespace)
        except OSError as error:
            raise Unavailable(
                f"Interface {interface}"
                f"{f' in network namespace {namespace.name}' if namespace.name else ''} cannot be "
                f"listened on: {error.strerror}. Name an interface that is there and up, and run "
                "this as root (CAP_NET_RAW)."
            ) from error

    @property
    def mac(self) -> bytes:
        """The card's own MAC address."""
        return self._card.mac

    @property
    def address(self) -> IPv4Address | None:
        """The card's own IPv4 address, if it has one."""
        return self._card.address

    def close(self) -> None:
        self._card.close()

    def ask(self, packet: Packet, seconds: float, *, enough: int | None = None) -> list[Offer]:
        """Send ``packet`` to all servers; every answer that comes in time, the first one first.

        Comes back sooner when there are ``enough``.
        """
        try:
            with self._namespace.call(self._sender) as sender:
                sender.sendto(packet.pack(), ("255.255.255.255", SERVER_PORT))
                return self._gather(sender, packet.xid, seconds, enough)
        except OSError as error:
            raise Unavailable(
                f"Nothing can be sent on {self.interface}: {error.strerror}. See that it is up."
            ) from error

    def ask_boot_server(self, packet: Packet, server: IPv4Address, seconds: float) -> Packet | None:
        """Ask a PXE boot server on its port 4011; None when it does not answer."""
        with self._namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            limit = time.monotonic() + seconds
            try:
                asker.sendto(packet.pack(), (str(server), PXE))
                while select.select([asker], [], [], max(0.0, limit - time.monotonic()))[0]:
                    answer = _reply(asker.recv(_LARGEST), packet.xid)
                    if answer is not None:
                        return answer
            except OSError:
                return None  # No way there, or nobody listens: no answer either way.
        return None

    def overhear(self, seconds: float) -> Iterator[tuple[Packet, str]]:
        """Every DHCP message that passes the card, with the MAC address it came from."""
        limit = time.monotonic() + seconds
        while select.select([self._card.socket], [], [], max(0.0, limit - time.monotonic()))[0]:
            _, sender, payload = self._seen()
            try:
                packet = parse(payload)
                options.message_type(packet)
            except BadPacket:
                continue
            yield packet, sender

    def _sender(self) -> socket.socket:
        # Not the card: what goes out there does not reach a server on this host.
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
            try:
                sender.bind(("", CLIENT_PORT))
            except OSError as error:
                # This host's own DHCP client has it; servers answer to port 68 all the same.
                if error.errno != errno.EADDRINUSE:
                    raise
        except BaseException:
            sender.close()
            raise
        return sender

    def _gather(
        self, heard: socket.socket, xid: int, seconds: float, enough: int | None
    ) -> list[Offer]:
        limit = time.monotonic() + seconds
        found: dict[bytes, Offer] = {}
        while len(found) != enough:
            left = max(0.0, limit - time.monotonic())
            ready, _, _ = select.select([self._card.socket, heard], [], [], left)
            if not ready:
                break
            # The card first: its answers have the servers' MAC addresses.
            source, mac, payload = self._seen() if self._card.socket in ready else _heard(heard)
            packet = _reply(payload, xid)
            if packet is not None:
                server = options.server_id(packet) or source
                found.setdefault(payload, Offer(packet, server, mac))
        return list(found.values())

    def _seen(self) -> tuple[IPv4Address, str, bytes]:
        frame = self._card.read()
        if frame is None:
            return _NOBODY
        try:
            source, payload = unwrap(frame[0])
        except BadPacket:
            return _NOBODY
        return source, frame[1], payload


def _heard(sock: socket.socket) -> tuple[IPv4Address, str, bytes]:
    try:
        payload, (source, _) = sock.recvfrom(_LARGEST)
    except OSError:
        return _NOBODY  # An ICMP message about something sent before.
    return IPv4Address(source), "", payload


def _reply(data: bytes, xid: int) -> Packet | None:
    """The answer to our question in ``data``; None when it is something else."""
    try:
        packet = parse(data)
        options.message_type(packet)
    except BadPacket:
        return None
    return packet if packet.op == BOOTREPLY and packet.xid == xid else None
