"""All URLs and methods, in one table. A resource is a file, and its lines here.

``{ident}`` is a UUID or a name. What a version does not have yet is answered with
``below`` (404, 405 or 406). ``public`` needs no password; ``ramdisk`` is served on the provisioning
network as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api import (
    allocations,
    bios,
    boot_mode,
    chassis,
    children,
    conductors,
    console,
    deploy_templates,
    description,
    drivers,
    events,
    firmware,
    health,
    heartbeat,
    history,
    images,
    indicators,
    inspection,
    inspection_rules,
    interrupts,
    inventories,
    lease,
    maintenance,
    management,
    nodes,
    notices,
    operations,
    plan,
    portgroups,
    ports,
    provision,
    raid,
    ramdisk,
    root,
    runbook_traits,
    runbooks,
    services,
    shards,
    states,
    traits,
    validation,
    vendor,
    vifs,
    vmedia,
    volume,
    volume_connectors,
    volume_targets,
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
        """The path as werkzeug writes it."""
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
    Route("GET", "/openapi.json", description.show_document, public=True),
    Route("GET", "/docs", description.show_page, public=True),
    Route("GET", "/healthz", health.alive, **_OPEN),
    Route("GET", "/readyz", health.ready, **_OPEN),
    Route("GET", "/metrics", health.show_metrics, public=True),

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
    Route("PUT", "/v1/nodes/{ident}/states/raid", raid.set_target_config, since=12, below=406),
    Route("PUT", "/v1/nodes/{ident}/states/boot_mode", boot_mode.set_boot_mode, since=76),
    Route("PUT", "/v1/nodes/{ident}/states/secure_boot", boot_mode.set_secure_boot, since=76),
    Route("GET", "/v1/nodes/{ident}/states/console", console.show),
    Route("PUT", "/v1/nodes/{ident}/states/console", console.set_enabled),
    Route("PUT", "/v1/nodes/{ident}/maintenance", maintenance.enable),
    Route("DELETE", "/v1/nodes/{ident}/maintenance", maintenance.disable),
    Route("GET", "/v1/nodes/{ident}/management/boot_device", management.show_boot_device),
    Route("PUT", "/v1/nodes/{ident}/management/boot_device", management.set_boot_device),
    Route("GET", "/v1/nodes/{ident}/management/boot_device/supported",
          management.supported_boot_devices),
    Route("PUT", "/v1/nodes/{ident}/management/inject_nmi", interrupts.inject_nmi, since=29),
    Route("GET", "/v1/nodes/{ident}/management/indicators", indicators.index, since=63),
    Route("GET", "/v1/nodes/{ident}/management/indicators/{name}@{component}",
          indicators.show, since=63),
    Route("PUT", "/v1/nodes/{ident}/management/indicators/{name}@{component}",
          indicators.update, since=63),
    Route("GET", "/v1/nodes/{ident}/traits", traits.index, since=37),
    Route("PUT", "/v1/nodes/{ident}/traits", traits.replace, since=37),
    Route("DELETE", "/v1/nodes/{ident}/traits", traits.clear, since=37),
    Route("PUT", "/v1/nodes/{ident}/traits/{trait}", traits.add, since=37),
    Route("DELETE", "/v1/nodes/{ident}/traits/{trait}", traits.remove, since=37),
    Route("GET", "/v1/nodes/{ident}/vifs", vifs.index, since=28),
    Route("POST", "/v1/nodes/{ident}/vifs", vifs.attach, since=28),
    Route("DELETE", "/v1/nodes/{ident}/vifs/{vif}", vifs.detach, since=28),
    Route("GET", "/v1/nodes/{ident}/vmedia", vmedia.index, since=93),
    Route("POST", "/v1/nodes/{ident}/vmedia", vmedia.attach, since=89),
    Route("DELETE", "/v1/nodes/{ident}/vmedia", vmedia.detach, since=89),
    Route("GET", "/v1/nodes/{ident}/bios", bios.index, since=40),
    Route("GET", "/v1/nodes/{ident}/bios/{setting}", bios.show, since=40),
    Route("GET", "/v1/nodes/{ident}/firmware", firmware.index, since=86),
    Route("GET", "/v1/nodes/{ident}/history", history.index, since=78),
    Route("GET", "/v1/nodes/{ident}/history/{uuid}", history.show, since=78),
    Route("GET", "/v1/nodes/{ident}/inventory", inventories.show, since=81),
    Route("GET", "/v1/nodes/{ident}/children", children.index, since=83),
    Route("GET", "/v1/nodes/{ident}/vendor_passthru/methods", vendor.node_methods),
    Route("GET", "/v1/nodes/{ident}/vendor_passthru/{method}", vendor.NODE["GET"]),
    Route("POST", "/v1/nodes/{ident}/vendor_passthru/{method}", vendor.NODE["POST"]),
    Route("PUT", "/v1/nodes/{ident}/vendor_passthru/{method}", vendor.NODE["PUT"]),
    Route("PATCH", "/v1/nodes/{ident}/vendor_passthru/{method}", vendor.NODE["PATCH"]),
    Route("DELETE", "/v1/nodes/{ident}/vendor_passthru/{method}", vendor.NODE["DELETE"]),
    Route("GET", "/v1/nodes/{ident}/vendor_passthru", vendor.NODE_BY_QUERY["GET"]),
    Route("POST", "/v1/nodes/{ident}/vendor_passthru", vendor.NODE_BY_QUERY["POST"]),
    Route("PUT", "/v1/nodes/{ident}/vendor_passthru", vendor.NODE_BY_QUERY["PUT"]),
    Route("PATCH", "/v1/nodes/{ident}/vendor_passthru", vendor.NODE_BY_QUERY["PATCH"]),
    Route("DELETE", "/v1/nodes/{ident}/vendor_passthru", vendor.NODE_BY_QUERY["DELETE"]),
    Route("GET", "/v1/nodes/{ident}/events", events.index),
    Route("GET", "/v1/nodes/{ident}/operations", operations.index),
    Route("GET", "/v1/nodes/{ident}/plan", plan.show),
    Route("GET", "/v1/nodes/{ident}/lease", lease.show),
    Route("DELETE", "/v1/nodes/{ident}/lease", lease.destroy),
    Route("GET", "/v1/nodes/{ident}/ports", ports.of_node),
    Route("GET", "/v1/nodes/{ident}/ports/detail", ports.of_node_detail),
    Route("GET", "/v1/nodes/{ident}/portgroups", portgroups.PORTGROUPS.below_node, since=24),
    Route("GET", "/v1/nodes/{ident}/portgroups/detail",
          portgroups.PORTGROUPS.below_node_detail, since=24),
    Route("GET", "/v1/nodes/{ident}/volume", volume.of_node, since=32),
    Route("GET", "/v1/nodes/{ident}/volume/connectors",
          volume_connectors.CONNECTORS.below_node, since=32),
    Route("GET", "/v1/nodes/{ident}/volume/targets", volume_targets.TARGETS.below_node, since=32),
    Route("GET", "/v1/nodes/{ident}/allocation", allocations.of_node, since=52),
    Route("DELETE", "/v1/nodes/{ident}/allocation", allocations.delete_of_node, since=52),

    Route("GET", "/v1/ports", ports.PORTS.index),
    Route("POST", "/v1/ports", ports.PORTS.create),
    Route("GET", "/v1/ports/detail", ports.PORTS.detail),
    Route("GET", "/v1/ports/{ident}", ports.PORTS.show),
    Route("PATCH", "/v1/ports/{ident}", ports.PORTS.update),
    Route("DELETE", "/v1/ports/{ident}", ports.PORTS.delete),

    Route("GET", "/v1/portgroups", portgroups.PORTGROUPS.index, since=23),
    Route("POST", "/v1/portgroups", portgroups.PORTGROUPS.create, since=23),
    Route("GET", "/v1/portgroups/detail", portgroups.PORTGROUPS.detail, since=23),
    Route("GET", "/v1/portgroups/{ident}", portgroups.PORTGROUPS.show, since=23),
    Route("PATCH", "/v1/portgroups/{ident}", portgroups.PORTGROUPS.update, since=23),
    Route("DELETE", "/v1/portgroups/{ident}", portgroups.PORTGROUPS.delete, since=23),
    Route("GET", "/v1/portgroups/{ident}/ports", ports.of_portgroup, since=24),
    Route("GET", "/v1/portgroups/{ident}/ports/detail", ports.of_portgroup_detail, since=24),

    Route("GET", "/v1/volume", volume.show, since=32),
    Route("GET", "/v1/volume/connectors", volume_connectors.CONNECTORS.index, since=32),
    Route("POST", "/v1/volume/connectors", volume_connectors.CONNECTORS.create, since=32),
    Route("GET", "/v1/volume/connectors/{ident}", volume_connectors.CONNECTORS.show, since=32),
    Route("PATCH", "/v1/volume/connectors/{ident}", volume_connectors.CONNECTORS.update, since=32),
    Route("DELETE", "/v1/volume/connectors/{ident}", volume_connectors.CONNECTORS.delete, since=32),
    Route("GET", "/v1/volume/targets", volume_targets.TARGETS.index, since=32),
    Route("POST", "/v1/volume/targets", volume_targets.TARGETS.create, since=32),
    Route("GET", "/v1/volume/targets/{ident}", volume_targets.TARGETS.show, since=32),
    Route("PATCH", "/v1/volume/targets/{ident}", volume_targets.TARGETS.update, since=32),
    Route("DELETE", "/v1/volume/targets/{ident}", volume_targets.TARGETS.delete, since=32),

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
    Route("GET", "/v1/drivers/{name}/raid/logical_disk_properties",
          raid.logical_disk_properties, since=12, below=406),
    Route("GET", "/v1/drivers/{name}/vendor_passthru/methods", vendor.driver_methods),
    Route("GET", "/v1/drivers/{name}/vendor_passthru/{method}", vendor.DRIVER["GET"]),
    Route("POST", "/v1/drivers/{name}/vendor_passthru/{method}", vendor.DRIVER["POST"]),
    Route("PUT", "/v1/drivers/{name}/vendor_passthru/{method}", vendor.DRIVER["PUT"]),
    Route("PATCH", "/v1/drivers/{name}/vendor_passthru/{method}", vendor.DRIVER["PATCH"]),
    Route("DELETE", "/v1/drivers/{name}/vendor_passthru/{method}", vendor.DRIVER["DELETE"]),
    Route("GET", "/v1/drivers/{name}/vendor_passthru", vendor.DRIVER_BY_QUERY["GET"]),
    Route("POST", "/v1/drivers/{name}/vendor_passthru", vendor.DRIVER_BY_QUERY["POST"]),
    Route("PUT", "/v1/drivers/{name}/vendor_passthru", vendor.DRIVER_BY_QUERY["PUT"]),
    Route("PATCH", "/v1/drivers/{name}/vendor_passthru", vendor.DRIVER_BY_QUERY["PATCH"]),
    Route("DELETE", "/v1/drivers/{name}/vendor_passthru", vendor.DRIVER_BY_QUERY["DELETE"]),

    Route("GET", "/v1/conductors", conductors.index, since=49),
    Route("GET", "/v1/conductors/{hostname}", conductors.show, since=49),

    Route("GET", "/v1/allocations", allocations.ALLOCATIONS.index, since=52),
    Route("POST", "/v1/allocations", allocations.ALLOCATIONS.create, since=52, below=405),
    Route("GET", "/v1/allocations/{ident}", allocations.ALLOCATIONS.show, since=52),
    Route("PATCH", "/v1/allocations/{ident}", allocations.ALLOCATIONS.update, since=57, below=405),
    Route("DELETE", "/v1/allocations/{ident}", allocations.ALLOCATIONS.delete, since=52, below=405),

    Route("GET", "/v1/deploy_templates", deploy_templates.DEPLOY_TEMPLATES.index, since=55),
    Route("POST", "/v1/deploy_templates", deploy_templates.DEPLOY_TEMPLATES.create,
          since=55, below=405),
    Route("GET", "/v1/deploy_templates/{ident}", deploy_templates.DEPLOY_TEMPLATES.show, since=55),
    Route("PATCH", "/v1/deploy_templates/{ident}", deploy_templates.DEPLOY_TEMPLATES.update,
          since=55, below=405),
    Route("DELETE", "/v1/deploy_templates/{ident}", deploy_templates.DEPLOY_TEMPLATES.delete,
          since=55, below=405),

    Route("GET", "/v1/runbooks", runbooks.RUNBOOKS.index, since=92),
    Route("POST", "/v1/runbooks", runbooks.RUNBOOKS.create, since=92, below=405),
    Route("GET", "/v1/runbooks/{ident}", runbooks.RUNBOOKS.show, since=92),
    Route("PATCH", "/v1/runbooks/{ident}", runbooks.RUNBOOKS.update, since=92, below=405),
    Route("DELETE", "/v1/runbooks/{ident}", runbooks.RUNBOOKS.delete, since=92, below=405),
    Route("GET", "/v1/runbooks/{ident}/traits", runbook_traits.index, since=112),
    Route("PUT", "/v1/runbooks/{ident}/traits", runbook_traits.replace, since=112),
    Route("DELETE", "/v1/runbooks/{ident}/traits", runbook_traits.clear, since=112),
    Route("PUT", "/v1/runbooks/{ident}/traits/{trait}", runbook_traits.add, since=112),
    Route("DELETE", "/v1/runbooks/{ident}/traits/{trait}", runbook_traits.remove, since=112),

    Route("GET", "/v1/inspection_rules", inspection_rules.INSPECTION_RULES.index, since=96),
    Route("POST", "/v1/inspection_rules", inspection_rules.INSPECTION_RULES.create,
          since=96, below=405),
    Route("GET", "/v1/inspection_rules/{ident}", inspection_rules.INSPECTION_RULES.show, since=96),
    Route("PATCH", "/v1/inspection_rules/{ident}", inspection_rules.INSPECTION_RULES.update,
          since=96, below=405),
    Route("DELETE", "/v1/inspection_rules/{ident}", inspection_rules.INSPECTION_RULES.delete,
          since=96, below=405),

    Route("GET", "/v1/images", images.index),
    Route("GET", "/v1/images/import", images.import_status),
    Route("POST", "/v1/images/import", images.import_now),

    Route("GET", "/v1/services", services.index),
    Route("GET", "/v1/services/{hostname}/{name}", services.show),
    Route("POST", "/v1/services/{hostname}/{name}/restart", services.restart),
    Route("GET", "/v1/services/{hostname}/{name}/log", services.show_log),
    Route("PUT", "/v1/services/{hostname}/{name}/log", services.switch_log),

    Route("GET", "/v1/shards", shards.index, since=82),
    Route("GET", "/v1/events", events.follow),
    Route("POST", "/v1/events", notices.receive, since=54),

    Route("GET", "/v1/lookup", ramdisk.lookup, since=22, **_OPEN),
    Route("POST", "/v1/heartbeat/{ident}", heartbeat.heartbeat, since=22, **_OPEN),
    # Its versions are 1.1 and those from 1.84: the handler looks.
    Route("POST", "/v1/continue_inspection", inspection.receive, **_OPEN),
)
# fmt: on
