"""Watches the interfaces of our subnets for DHCP servers that are not ours, and asks for them.

One thread for all interfaces. It listens all the time and asks, as a client of its own (with the
card's MAC address, so that no machine's lease is touched), now and then.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address

from drophammer.netns import Namespace
from netboot.dhcp import personas
from netboot.dhcp.frames import Card
from netboot.dhcp.sightings import REMEMBERED, Sighting, Spotter

log = logging.getLogger(__name__)

REPEAT_SECONDS = 600.0
"""The same server and machine are told of again only after so long."""

TOLD = 100
"""So many are told of in that time: anybody can forge such messages."""

FORGET_SECONDS = 1800.0
"""A server that was not seen for so long is told of no more."""

_AT_ONCE = 100
_NAMED = 3


class Watch:
    """``told`` gets each sighting that is news, in the thread of this object."""

    def __init__(
        self,
        interfaces: Sequence[str],
        namespace: Namespace,
        *,
        ours: Iterable[IPv4Address],
        probe_seconds: float,
        told: Callable[[Sighting], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interfaces = interfaces
        self._namespace = namespace
        self._ours = tuple(ours)
        self._probe_seconds = probe_seconds
        self._told = told
        self._clock = clock
        self._seen: dict[IPv4Address, tuple[float, Sighting]] = {}
        self._repeats: dict[tuple[IPv4Address, str], float] = {}
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="dhcp-watch", daemon=True)
        self._cards: list[Card] = []

    def start(self) -> None:
        """Begin. Where a card cannot be listened to, DHCP works all the same, and the log says so.

        Packet sockets need root or CAP_NET_RAW, as dnsmasq does.
        """
        ours = set(self._ours)
        for interface in self._interfaces:
            try:
                card = Card(interface, self._namespace)
            except OSError as error:
                log.warning(
                    "other DHCP servers on %s will not be noticed: %s", interface, error.strerror
                )
                continue
            self._cards.append(card)
            if card.address is not None:
                ours.add(card.address)
        self._spotter = Spotter(ours)
        if self._cards:
            self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has."""
        self._wake.send(b".")
        if self._thread.is_alive():
            self._thread.join()
        for card in self._cards:
            card.close()
        self._cards = []
        self._wake.close()
        self._woken.close()

    def sentences(self) -> list[str]:
        """What is to be said of foreign servers at this moment."""
        limit = self._clock() - FORGET_SECONDS
        found = [one.sentence() + "." for at, one in list(self._seen.values()) if at >= limit]
        more = len(found) - _NAMED
        # Who floods a network with forged answers shall not fill our pages.
        return [*found[:_NAMED], f"{more} more DHCP servers were seen."] if more > 0 else found

    def _run(self) -> None:
        due = self._clock()
        # Not select(2): among thousands of connections our sockets may have high numbers.
        with selectors.DefaultSelector() as ready:
            ready.register(self._woken, selectors.EVENT_READ, None)
            for card in self._cards:
                ready.register(card.socket, selectors.EVENT_READ, card)
            while True:
                if self._probe_seconds and self._clock() >= due:
                    self._probe()
                    due = self._clock() + self._probe_seconds
                wait = max(0.0, due - self._clock()) if self._probe_seconds else None
                for key, _ in ready.select(wait):
                    if key.data is None:
                        return
                    self._read(key.data)

    def _probe(self) -> None:
        for card in self._cards:
            try:
                asked = personas.discover(personas.SYSTEM, card.mac, int.from_bytes(os.urandom(4)))
                card.broadcast(asked.pack())
            except OSError as error:
                log.debug("%s cannot be asked for DHCP servers: %s", card.interface, error)

    def _read(self, card: Card) -> None:
        """Some at a time, so that a flood on one card does not hide the others."""
        for _ in range(_AT_ONCE):
            try:
                found = card.read()
            except OSError as error:
                log.warning("%s: %s", card.interface, error.strerror)
                return
            if found is None:
                return
            sighting = self._spotter.see(*found)
            if sighting is not None:
                self._note(sighting)

    def _note(self, sighting: Sighting) -> None:
        now = self._clock()
        before = self._seen.get(sighting.server)
        # A message that names the server's card says more than one that does not.
        says_less = before is not None and before[1].mac and not sighting.mac
        told = before[1] if before is not None and says_less else sighting
        if before is not None or len(self._seen) < REMEMBERED:
            self._seen[sighting.server] = (now, told)
        key = (sighting.server, sighting.client)
        if now - self._repeats.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        if len(self._repeats) >= TOLD:
            self._repeats = {
                one: at for one, at in self._repeats.items() if now - at < REPEAT_SECONDS
            }
        if len(self._repeats) >= TOLD or self._told_of(sighting.client) >= _NAMED:
            # They shall not fill log and database.
            return
        self._repeats[key] = now
        log.warning("%s", sighting.sentence())
        self._told(sighting)

    def _told_of(self, client: str) -> int:
        """How many servers were named lately that answered this machine."""
        return sum(one == client for _, one in self._repeats)
