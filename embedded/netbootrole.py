"""Network boot in a process."""

from __future__ import annotations

from embedded.place import Place
from netboot.server import NetbootServer
from netboot.settings import Settings


class NetbootCalls:
    """The part of netboot that other roles may call over the bus."""

    def __init__(self, server: NetbootServer) -> None:
        self.refresh = server.refresh
        self.prepare = server.prepare


def start(place: Place) -> None:
    """Answer machines that boot."""
    server = NetbootServer(Settings.from_conf(place.conf), place.store)
    place.run(server)
    place.started.append(place.bus.serve("netboot", NetbootCalls(server), place.conf.host))
    for line in server.listening():
        place.say(*line)
