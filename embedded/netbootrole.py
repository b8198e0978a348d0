"""Network boot in a process."""

from __future__ import annotations

from embedded.imports import ResourceRole
from embedded.place import Place
from netboot.importing.calls import ResourceCalls
from netboot.server import NetbootServer
from netboot.settings import Settings


class NetbootCalls:
    """The part of netboot that other roles may call over the bus."""

    def __init__(self, server: NetbootServer, resources: ResourceCalls) -> None:
        self.refresh = server.refresh
        self.prepare = server.prepare
        self.pin = server.pin
        self.images = resources.images
        self.import_images = resources.import_images
        self.import_status = resources.import_status
        self.restart_service = server.service_calls.restart_service
        self.show_service_log = server.service_calls.show_service_log
        self.switch_service_log = server.service_calls.switch_service_log


def start(place: Place) -> None:
    """Answer machines that boot."""
    conf = place.conf
    server = NetbootServer(Settings.from_conf(conf), place.store, hostname=conf.host)
    place.run(server)
    place.reloads.append(lambda changed: server.reload(lambda: Settings.from_conf(changed)))
    place.health.add("services", server.trouble)
    resources = ResourceRole(place, server.targets)
    place.run(resources)
    place.started.append(
        place.bus.serve("netboot", NetbootCalls(server, resources.calls), place.conf.host)
    )
    for line in server.listening():
        place.say(*line)
