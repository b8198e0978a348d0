"""What notifications say: which fields of which noun, under which name and version.

The shapes are those that consumers of OpenStack's bare metal notifications know. A version
goes with its list of fields: add to a list, and its version changes.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drophammer.masking import mask
from drophammer.model import INTERFACES

NAMESPACE = "ironic"


@dataclass(frozen=True)
class Payload:
    """The name, version and fields of one kind."""

    name: str
    version: str
    fields: tuple[str, ...]

    def of(self, row: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """The payload that tells of ``row``. Secrets are masked; what it lacks is None."""
        data = {name: _plain(row.get(name)) for name in self.fields}
        return {
            "ironic_object.namespace": NAMESPACE,
            "ironic_object.name": self.name,
            "ironic_object.version": self.version,
            "ironic_object.data": {**data, **more},
        }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    return mask(value) if isinstance(value, dict | list) else value


# Interfaces that payloads of these versions have; a later one has those of later kinds.
_INTERFACES = tuple(f"{kind}_interface" for kind in INTERFACES if kind != "firmware")
_COMMON = ("created_at", "updated_at", "uuid")
_NODE = (
    *_COMMON,
    *_INTERFACES,
    "boot_mode",
    "clean_step",
    "conductor_group",
    "console_enabled",
    "deploy_step",
    "description",
    "driver",
    "extra",
    "fault",
    "inspection_finished_at",
    "inspection_started_at",
    "instance_uuid",
    "last_error",
    "lessee",
    "maintenance",
    "maintenance_reason",
    "name",
    "owner",
    "power_state",
    "properties",
    "protected",
    "protected_reason",
    "provision_state",
    "provision_updated_at",
    "resource_class",
    "retired",
    "retired_reason",
    "secure_boot",
    "target_power_state",
    "target_provision_state",
    "traits",
)
NODE = Payload("NodePayload", "1.16", _NODE)
NODE_POWER = Payload("NodeSetPowerStatePayload", "1.16", _NODE)
NODE_CORRECTED = Payload("NodeCorrectedPowerStatePayload", "1.16", _NODE)
NODE_PROVISION = Payload(
    "NodeSetProvisionStatePayload", "1.17", (*_NODE, "instance_info", "driver_internal_info")
)
NODE_CRUD = Payload(
    "NodeCRUDPayload", "1.14", (*_NODE, "chassis_uuid", "driver_info", "instance_info")
)

# By the noun as the API knows it: what it is called in the type of an event, and its payload.
CRUD: dict[str, tuple[str, Payload]] = {
    "node": ("node", NODE_CRUD),
    "chassis": (
        "chassis",
        Payload("ChassisCRUDPayload", "1.0", (*_COMMON, "description", "extra")),
    ),
    "port": (
        "port",
        Payload(
            "PortCRUDPayload",
            "1.4",
            (
                *_COMMON,
                "address",
                "extra",
                "is_smartnic",
                "local_link_connection",
                "name",
                "node_uuid",
                "physical_network",
                "portgroup_uuid",
                "pxe_enabled",
            ),
        ),
    ),
    "portgroup": (
        "portgroup",
        Payload(
            "PortgroupCRUDPayload",
            "1.0",
            (
                *_COMMON,
                "address",
                "extra",
                "mode",
                "name",
                "node_uuid",
                "properties",
                "standalone_ports_supported",
            ),
        ),
    ),
    "volume connector": (
        "volumeconnector",
        Payload(
            "VolumeConnectorCRUDPayload",
            "1.0",
            (*_COMMON, "connector_id", "extra", "node_uuid", "type"),
        ),
    ),
    "volume target": (
        "volumetarget",
        Payload(
            "VolumeTargetCRUDPayload",
            "1.0",
            (
                *_COMMON,
                "boot_index",
                "extra",
                "node_uuid",
                "properties",
                "volume_id",
                "volume_type",
            ),
        ),
    ),
    "deploy template": (
        "deploytemplate",
        Payload("DeployTemplateCRUDPayload", "1.0", (*_COMMON, "extra", "name", "steps")),
    ),
    "runbook": (
        "runbook",
        Payload(
            "RunbookCRUDPayload", "1.0", (*_COMMON, "extra", "name", "owner", "public", "steps")
        ),
    ),
    "allocation": (
        "allocation",
        Payload(
            "AllocationCRUDPayload",
            "1.0",
            (
                *_COMMON,
                "candidate_nodes",
                "extra",
                "last_error",
                "name",
                "node_uuid",
                "owner",
                "resource_class",
                "state",
                "traits",
            ),
        ),
    ),
}
