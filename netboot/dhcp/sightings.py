"""Other DHCP servers, as their traffic gives them away. Pure: bytes in, sightings out.

A server shows itself by its answers (to a machine, or to our own question), and by the machine
that chooses it: that message goes to all, also where the answers were not to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.dhcp import options
from netboot.dhcp.frames import unwrap
from netboot.dhcp.packet import BOOTREPLY, Packet, parse, text
from netboot.dhcp.reader import BadPacket

_ANSWERS = (options.OFFER, options.ACK, options.NAK)
REMEMBERED = 1000


@dataclass(frozen=True)
class Sighting:
    """One message that shows a foreign server. ``mac`` is the server's own, if it was seen."""

    server: IPv4Address
    mac: str | None
    client: str
    said: str

    def sentence(self) -> str:
        """For people, e.g. "another DHCP server, 10.0.0.9 (52:54:00:aa:bb:cc), answered: ..."."""
        who = f"{self.server} ({self.mac})" if self.mac else str(self.server)
        return f"another DHCP server, {who}, {self.said}"


class Spotter:
    """Tells foreign servers from ours. ``ours`` are addresses of this host.

    Addresses that we answer under are learnt from our own answers as they go out.
    """

    def __init__(self, ours: Iterable[IPv4Address]) -> None:
        self._ours = set(ours)

    def see(self, data: bytes, sender: str, outgoing: bool) -> Sighting | None:
        """What an IPv4 packet shows; ``sender`` is the MAC address it came from."""
        try:
            source, payload = unwrap(data)
            packet = parse(payload)
            kind = options.message_type(packet)
        except BadPacket:
            return None
        server = options.server_id(packet)
        if outgoing:
            self._learn(packet, server)
            return None
        client = packet.client_mac
        if client is None:
            return None
        if packet.op == BOOTREPLY and kind in _ANSWERS:
            found = server or source
            said = _answered(packet, kind, client)
            return None if found in self._ours else Sighting(found, sender, client, said)
        if kind == options.REQUEST and server is not None and server not in self._ours:
            return Sighting(server, None, client, f"was chosen by {client}")
        return None

    def _learn(self, packet: Packet, server: IPv4Address | None) -> None:
        if packet.op == BOOTREPLY and server is not None and len(self._ours) < REMEMBERED:
            self._ours.add(server)


def _answered(packet: Packet, kind: int, client: str) -> str:
    parts = [f"answered {client} with {options.TYPES[kind]}"]
    if packet.yiaddr != IPv4Address(0):
        parts.append(f"address {packet.yiaddr}")
    file = text(packet.option(options.BOOT_FILE) or b"") or packet.boot_file
    if file:
        parts.append(f"boot file {file[:100]}")
    return ", ".join(parts)
