"""The fields of a node: the table from which its part of the API follows."""

from __future__ import annotations

from typing import Any

from api import network_data
from api.fields import (
    ANY_TEXT,
    BOOLEAN,
    BOOLEAN_OR_NULL,
    LINKS,
    LONG_TEXT,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    TIME,
    UUID,
    UUID_OR_NULL,
    Field,
    Row,
    Table,
)
from api.view import View, time
from drophammer import nodes, states
from drophammer.masking import MASK

INTERFACE_SINCE = {
    "bios": 40,
    "boot": 31,
    "console": 31,
    "deploy": 31,
    "firmware": 86,
    "inspect": 31,
    "management": 31,
    "network": 20,
    "power": 31,
    "raid": 31,
    "rescue": 38,
    "storage": 33,
    "vendor": 31,
}


def _traits(row: Row, view: View) -> list[str]:
    return sorted((row["traits"] or "").split(",")) if row["traits"] else []


def _provision_state(row: Row, view: View) -> str | None:
    state: str = row["provision_state"]
    if state == states.AVAILABLE and view.version < 2:
        return None
    return states.INSPECTING if state == states.INSPECT_WAIT and view.version < 39 else state


def _reservation(row: Row, view: View) -> str | None:
    return nodes.holder(row, view.now)


def _conductor(row: Row, view: View) -> str | None:
    return view.conductor_of(row["driver"], row["conductor_group"])


def agent_info(row: Row) -> dict[str, Any]:
    """``driver_internal_info``: what the ramdisk told of itself, without its token."""
    told = {
        "agent_url": row["agent_url"],
        "agent_version": row["agent_version"],
        "agent_last_heartbeat": time(row["agent_last_beat"]),
        "agent_secret_token": MASK if row["agent_has_token"] else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def _links(row: Row, view: View) -> Any:
    return view.links("nodes", row["uuid"])


def _below(name: str, since: int) -> Field:
    def show(row: Row, view: View) -> Any:
        return view.links("nodes", row["uuid"], name)

    return Field(name, since, LINKS, columns=("uuid",), show=show)


_INTERFACES = [
    Field(f"{kind}_interface", since, TEXT_OR_NULL, create=True, patch=True, sort=True)
    for kind, since in INTERFACE_SINCE.items()
]

# fmt: off
FIELDS: list[Field] = [
    Field("uuid", 1, UUID, create=True, sort=True),
    Field("name", 5, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("driver", 1, TEXT, create=True, patch=True, sort=True),
    Field("driver_info", 1, OBJECT, create=True, patch=True, masked=True, default={}),
    Field("driver_internal_info", 3, OBJECT, columns=tuple(sorted(nodes.SHOWN_AGENT)),
          show=lambda row, view: agent_info(row), masked=True),
    Field("properties", 1, OBJECT, create=True, patch=True, default={}),
    Field("instance_info", 1, OBJECT, create=True, patch=True, masked=True, default={}),
    Field("extra", 1, OBJECT, create=True, patch=True, default={}),
    Field("instance_uuid", 1, UUID_OR_NULL, create=True, patch=True, sort=True),
    Field("instance_name", 104, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("chassis_uuid", 1, UUID_OR_NULL, create=True, patch=True, sort=True),
    Field("power_state", 1, TEXT_OR_NULL, sort=True),
    Field("target_power_state", 1, TEXT_OR_NULL, sort=True),
    Field("provision_state", 1, {"enum": [*states.STATES, None]}, show=_provision_state, sort=True),
    Field("target_provision_state", 1, TEXT_OR_NULL, sort=True),
    Field("provision_updated_at", 1, TIME, sort=True),
    Field("last_error", 1, ANY_TEXT, sort=True),
    Field("maintenance", 1, BOOLEAN, create=True, patch=True, sort=True, default=False),
    Field("maintenance_reason", 1, LONG_TEXT, sort=True),
    Field("fault", 42, TEXT_OR_NULL, sort=True),
    Field("reservation", 1, TEXT_OR_NULL, columns=("lease_expires", "lease_host", "lease_owner"),
          show=_reservation, sort="lease_host"),
    Field("console_enabled", 1, BOOLEAN, create=True, sort=True),
    Field("created_at", 1, TIME, sort=True),
    Field("updated_at", 1, TIME, sort=True),
    Field("inspection_started_at", 6, TIME, sort=True),
    Field("inspection_finished_at", 6, TIME, sort=True),
    Field("clean_step", 7, OBJECT, masked=True),
    Field("deploy_step", 44, OBJECT, masked=True),
    Field("service_step", 87, OBJECT, masked=True),
    Field("raid_config", 12, OBJECT),
    Field("target_raid_config", 12, OBJECT),
    *_INTERFACES,
    Field("resource_class", 21, {**TEXT_OR_NULL, "maxLength": 80},
          create=True, patch=True, sort=True),
    Field("traits", 37, TEXTS, show=_traits),
    Field("conductor_group", 46, {"type": "string", "pattern": "^[A-Za-z0-9_.-]{0,255}$"},
          create=True, patch=True, sort=True, default=""),
    Field("automated_clean", 47, BOOLEAN_OR_NULL, create=True, patch=True, sort=True),
    Field("protected", 48, BOOLEAN, patch=True, sort=True, default=False),
    Field("protected_reason", 48, LONG_TEXT, patch=True, sort=True),
    Field("conductor", 49, TEXT_OR_NULL, columns=("driver", "conductor_group"), show=_conductor),
    Field("owner", 50, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("description", 51, LONG_TEXT, create=True, patch=True, sort=True),
    Field("allocation_uuid", 52, UUID_OR_NULL, sort=True),
    Field("retired", 61, BOOLEAN, create=True, patch=True, sort=True, default=False),
    Field("retired_reason", 61, LONG_TEXT, create=True, patch=True, sort=True),
    Field("lessee", 65, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("network_data", 66, network_data.SCHEMA, create=True, patch=True, default={}),
    Field("boot_mode", 75, {"enum": ["uefi", "bios", None]}, create=True, sort=True),
    Field("secure_boot", 75, BOOLEAN_OR_NULL, create=True, sort=True),
    Field("shard", 82, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("parent_node", 83, UUID_OR_NULL, create=True, patch=True, sort=True),
    Field("disable_power_off", 95, BOOLEAN, create=True, patch=True, sort=True, default=False),
    Field("health", 109, TEXT_OR_NULL, sort=True),
    Field("links", 1, LINKS, columns=("uuid",), show=_links),
    _below("ports", 1),
    _below("states", 14),
    _below("portgroups", 24),
    _below("volume", 32),
]
# fmt: on

NODE = Table(
    "node",
    "nodes",
    FIELDS,
    brief=(
        "uuid",
        "name",
        "instance_uuid",
        "maintenance",
        "power_state",
        "provision_state",
        "links",
    ),
)
