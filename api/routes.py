"""All URLs and methods, in one table. A resource is a file, and its lines here.

``{ident}`` is a UUID or a name. What a version does not have yet is answered with
``below``. ``public`` needs no password; ``ramdisk`` is served on the provisioning
network as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api import (
    chassis,
    conductors,
    drivers,
    events,
    inspection,
    inventories,
    maintenance,
    management,
    nodes,
    operations,
    ports,
    provision,
    ramdisk,
    root,
    states,
    validation,
)
from api.endpoint import Endpoint


@dataclass(frozen=True)
class Route:
    """One method on one path, and who answers it."""

    method: str
    path: str
    handler: Endpoint
    since: int = 1
    below: int = 404
    public: bool = False
    ramdisk: bool = False

    @property
    def rule(self) -> str:
        """The path as Flask writes it."""
        return self.path.replace("{", "<").replace("}", ">")

    @property
    def resource(self) -> str:
        """The first word behind ``/v1/``."""
        return self.path.removeprefix("/v1").strip("/").partition("/")[0]


_OPEN: dict[str, Any] = {"public": True, "ramdisk": True}

# fmt: off
ROUTES: tuple[Route, ...] = (
    Route("GET", "/", root.index, **_OPEN),
    Route("GET", "/v1", root.v1, **_OPEN),
    Route("HEAD", "/v1", root.v1, **_OPEN),

    Route("GET", "/v1/nodes", nodes.index),
    Route("POST", "/v1/nodes", nodes.create),
    Route("GET", "/v1/nodes/detail", nodes.detail),
    Route("GET", "/v1/nodes/validate", validation.show_by_query),
    Route("GET", "/v1/nodes/{ident}", nodes.show),
    Route("PATCH", "/v1/nodes/{ident}", nodes.update),
    Route("DELETE", "/v1/nodes/{ident}", nodes.delete),
    Route("GET", "/v1/nodes/{ident}/validate", validation.show),
    Route("GET", "/v1/nodes/{ident}/states", states.show),
    Route("PUT", "/v1/nodes/{ident}/states/power", states.set_power),
    Route("PUT", "/v1/nodes/{ident}/states/provision", provision.provision),
    Route("PUT", "/v1/nodes/{ident}/maintenance", maintenance.enable),
    Route("DELETE", "/v1/nodes/{ident}/maintenance", maintenance.disable),
    Route("GET", "/v1/nodes/{ident}/management/boot_device", management.show_boot_device),
    Route("PUT", "/v1/nodes/{ident}/management/boot_device", management.set_boot_device),
    Route("GET", "/v1/nodes/{ident}/management/boot_device/supported",
          management.supported_boot_devices),
    Route("GET", "/v1/nodes/{ident}/inventory", inventories.show, since=81),
    Route("GET", "/v1/nodes/{ident}/events", events.index),
    Route("GET", "/v1/nodes/{ident}/operations", operations.index),
    Route("GET", "/v1/nodes/{ident}/ports", ports.of_node),
    Route("GET", "/v1/nodes/{ident}/ports/detail", ports.of_node_detail),

    Route("GET", "/v1/ports", ports.PORTS.index),
    Route("POST", "/v1/ports", ports.PORTS.create),
    Route("GET", "/v1/ports/detail", ports.PORTS.detail),
    Route("GET", "/v1/ports/{ident}", ports.PORTS.show),
    Route("PATCH", "/v1/ports/{ident}", ports.PORTS.update),
    Route("DELETE", "/v1/ports/{ident}", ports.PORTS.delete),

    Route("GET", "/v1/chassis", chassis.CHASSIS.index),
    Route("POST", "/v1/chassis", chassis.CHASSIS.create),
    Route("GET", "/v1/chassis/detail", chassis.CHASSIS.detail),
    Route("GET", "/v1/chassis/{ident}", chassis.CHASSIS.show),
    Route("PATCH", "/v1/chassis/{ident}", chassis.CHASSIS.update),
    Route("DELETE", "/v1/chassis/{ident}", chassis.CHASSIS.delete),
    Route("GET", "/v1/chassis/{uuid}/nodes", chassis.nodes_of),
    Route("GET", "/v1/chassis/{uuid}/nodes/detail", chassis.nodes_of_detail),

    Route("GET", "/v1/drivers", drivers.index),
    Route("GET", "/v1/drivers/{name}", drivers.show),
    Route("GET", "/v1/drivers/{name}/properties", drivers.properties),

    Route("GET", "/v1/conductors", conductors.index, since=49),
    Route("GET", "/v1/conductors/{hostname}", conductors.show, since=49),

    Route("GET", "/v1/lookup", ramdisk.lookup, since=22, **_OPEN),
    Route("POST", "/v1/heartbeat/{ident}", ramdisk.heartbeat, since=22, **_OPEN),
    # Its versions are 1.1 and those from 1.84: the handler looks.
    Route("POST", "/v1/continue_inspection", inspection.receive, **_OPEN),
)
# fmt: on
