"""One of everything: a database in which each path of the API leads somewhere."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import insert, select

from api.routes import ROUTES
from drophammer import model
from drophammer.services import Told, put_all
from drophammer.store import Store

MAC = "52:54:00:00:00:01"
STEP = {"interface": "deploy", "step": "erase_devices", "args": {"password": "x"}}
ACTION = {"op": "set-attribute", "args": {"path": "/extra/a", "value": "b"}}
# What the bus answers; the shapes are the conductor's.
METHOD = {
    "http_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "async": False,
    "description": "Does nothing.",
    "attach": False,
    "require_exclusive_lock": False,
}
SPENT = {"last_seconds": 1.5, "mean_seconds": 2.0, "runs": 2}
PLANNED = {
    "interface": "deploy",
    "step": "erase_devices",
    "source": "driver",
    "source_name": None,
    "priority": 99,
    "abortable": True,
    "args": {"password": "x"},
    "argsinfo": {},
    "destroys": "all disks",
    "discovered_later": False,
    **SPENT,
}
PLAN = {
    "flow": "clean",
    "steps": [PLANNED],
    "discovered_later": False,
    "destroys": ["all disks"],
    "refusals": [{"reason": "state", "message": "not from here"}],
    "on_offer": None,
    **SPENT,
}
SERVICE = Told("tftp", None, "process", "on", "it is switched on", "running", "pid 7")
LOGGED = {"level": None, "requests": False}
IMPORTING = {
    "state": "failed",
    "message": "nothing new; 0 files fetched",
    "started_at": "2026-11-21T10:15:00+00:00",
    "finished_at": "2026-11-21T10:15:01+00:00",
    "file": None,
    "files": 0,
    "files_total": 0,
    "bytes": 0,
    "bytes_total": 0,
    "bytes_per_second": 0,
    "report": {
        "snapshot": None,
        "changed": False,
        "files": 0,
        "bytes": 0,
        "failures": [{"source": "mirror", "path": "", "message": "It is away."}],
        "missing": [],
        "notes": [],
        "removed": [],
    },
    "asked": 1,
    "ended": 1,
}
IMAGE = {
    "id": "ubuntu/amd64/generic/xenial/daily",
    "os": "ubuntu",
    "architecture": "amd64",
    "subarchitecture": "generic",
    "release": "xenial",
    "label": "daily",
    "files": [
        {
            "name": "boot-kernel",
            "url": "resource:///ubuntu/amd64/generic/xenial/daily/boot-kernel",
            "sha256": "0" * 64,
            "size": 1,
            "version": "20261121",
            "source": "mirror",
        }
    ],
}
CALLED = {"async": False, "result": {"done": True}, "attach": False}
ANSWERS: dict[str, Any] = {
    "images": {
        "snapshot": "snapshot-20261121-101500",
        "checked_at": "2026-11-21T10:15:01+00:00",
        "images": [IMAGE],
    },
    "import_images": IMPORTING,
    "import_status": IMPORTING,
    "restart_service": asdict(SERVICE),
    "show_service_log": LOGGED,
    "switch_service_log": LOGGED,
    "plan": PLAN,
    "validate": {"power": {"result": True}, "deploy": {"result": False, "reason": "no image"}},
    "get_boot_device": {"boot_device": "pxe", "persistent": False},
    "supported_boot_devices": ["pxe", "disk"],
    "get_indicators": [
        {"name": "led", "component": "system", "readonly": False, "states": ["on", "off"]}
    ],
    "get_indicator": "on",
    "get_console": {"console_enabled": True, "console_info": {"type": "shellinabox", "url": "x"}},
    "vendor_methods": {"first_method_sync": METHOD},
    "driver_vendor_methods": {"first_method_sync": METHOD},
    "vendor_call": CALLED,
    "driver_vendor_call": CALLED,
    "raid_logical_disk_properties": {"size_gb": "Size in GiB."},
    "list_vifs": [{"id": "vif-1"}],
    "get_vmedia": [{"media_types": ["CD"], "inserted": False, "image": ""}],
}


@dataclass
class World:
    """``names`` are what stands for a path's variable parts, by the part before."""

    names: dict[str, list[str]] = field(default_factory=dict)

    def known(self, path: str, position: int, part: str) -> list[str]:
        """What leads somewhere at ``{part}`` of a route's path."""
        if path.endswith("}/allocation"):
            return self.names["allocated"]
        before = path[:position].rstrip("/").rpartition("/")[2]
        return self.names.get(before) or self.names[part]

    def filled(self, path: str, choose: Callable[[list[str]], str] = lambda found: found[0]) -> str:
        """A route's path with its variable parts filled in."""

        def fill(match: re.Match[str]) -> str:
            return choose(self.known(path, match.start(), match[1]))

        return re.sub(r"{(\w+)}", fill, path)


def bodies(node: str) -> dict[str, dict[str, Any]]:
    """What makes one of each noun, in an order in which that is possible."""
    return {
        "/v1/nodes": {"driver": "fake-hardware", "name": "rack-2", "resource_class": "big"},
        "/v1/chassis": {"description": "left"},
        "/v1/portgroups": {"node_uuid": node, "name": "bond-1", "address": MAC},
        "/v1/ports": {"node_uuid": node, "name": "port-1", "address": MAC},
        "/v1/volume/connectors": {
            "node_uuid": node,
            "type": "iqn",
            "connector_id": "iqn.2026-11.x:1",
        },
        "/v1/volume/targets": {
            "node_uuid": node,
            "volume_type": "iscsi",
            "volume_id": "v-1",
            "boot_index": 0,
            "properties": {"auth_password": "x"},
        },
        "/v1/deploy_templates": {"name": "CUSTOM_T", "steps": [{**STEP, "priority": 1}]},
        "/v1/runbooks": {"name": "CUSTOM_R", "steps": [{**STEP, "order": 1}]},
        "/v1/inspection_rules": {"description": "mark", "actions": [ACTION]},
        "/v1/allocations": {"name": "allocation-1", "resource_class": "big"},
    }


def made(api: Any) -> World:
    """Fill the API's database."""
    node = api.node(name="rack-1")
    api.set(node["uuid"], power_state="power off")
    world = World(
        {
            # UUIDs first: old versions know no names.
            "nodes": [node["uuid"], "rack-1"],
            "heartbeat": [node["uuid"]],
            "drivers": ["fake-hardware"],
            "conductors": ["conductor-1"],
            "services": ["netboot-1"],
            "{hostname}": ["tftp"],
            "traits": ["CUSTOM_A"],
            "bios": ["BootMode"],
            "history": [model.new_uuid()],
            "vifs": ["vif-1"],
            "vendor_passthru": ["first_method_sync"],
            "indicator": ["led@system"],
            "name": ["led"],
            "component": ["system"],
        }
    )
    routed = {route.path for route in ROUTES if route.method == "POST"}
    for path, body in bodies(node["uuid"]).items():
        if path not in routed:
            continue
        answer = api.post(path, body)
        assert answer.status_code == 201, (path, answer.text)
        noun = path.rpartition("/")[2]
        found = [answer.json["uuid"], *filter(None, [answer.json.get("name")])]
        world.names.setdefault(noun, []).extend(found)
        if noun == "nodes":
            # For the allocation, which comes last.
            api.set(answer.json["uuid"], provision_state="available", power_state="power off")
            world.names["allocated"] = found
    assert api.put("/v1/nodes/rack-1/traits/CUSTOM_A").status_code == 204
    api.put("/v1/runbooks/CUSTOM_R/traits/CUSTOM_A")
    _store_told(api.store, node["uuid"], world)
    return world


def _store_told(store: Store, node: str, world: World) -> None:
    """What only the conductor and the ramdisk write."""
    now = store.clock.now()
    with store.write() as session:
        # Heard of for as long as the tests take.
        put_all(session, "netboot-1", [SERVICE], now + datetime.timedelta(days=1))
        node_id = session.execute(select(model.Node.id).where(model.Node.uuid == node)).scalar_one()
        rows: list[tuple[type[model.Base], dict[str, Any]]] = [
            (model.BiosSetting, {"name": "BootMode", "value": "Uefi", "created_at": now}),
            (
                model.FirmwareComponent,
                {"component": "bmc", "initial_version": "1", "created_at": now},
            ),
            (
                model.HistoryEntry,
                {
                    "uuid": world.names["history"][0],
                    "created_at": now,
                    "severity": "ERROR",
                    "event_type": "provisioning",
                    "event": "it did not boot",
                    "conductor": "conductor-1",
                    "duration_seconds": 1.5,
                },
            ),
            (model.Inventory, {"inventory": {"cpu": {}}, "plugin_data": {}, "created_at": now}),
            (
                model.Event,
                {"at": now, "source": "conductor", "kind": "state", "message": "a", "data": {}},
            ),
            (
                model.Operation,
                {
                    "id": 1,
                    "uuid": model.new_uuid(),
                    "verb": "active",
                    "flow": "deploy",
                    "state": "done",
                    "request": {},
                    "progress_done": 1,
                    "progress_at": now,
                    "created_at": now,
                },
            ),
        ]
        for table, values in rows:
            session.execute(insert(table).values(node_id=node_id, **values))
        session.execute(
            insert(model.Step).values(
                operation_id=1,
                position=0,
                interface="deploy",
                step="deploy",
                source="plan",
                args={},
                state="done",
                cursor={},
                result={},
            )
        )
