"""RAID: what a node's ``target_raid_config`` may say, for every interface that builds it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from conductor.drivers.base import Raid
from drophammer.errors import Invalid
from drophammer.model import Node

LEVELS = ("0", "1", "2", "5", "6", "1+0", "5+0", "6+0", "JBOD")

LOGICAL_DISK = {
    "size_gb": "Size in GiB as a whole number, or MAX for all the space that is left. Required.",
    "raid_level": f"One of {', '.join(LEVELS)}. Required.",
    "controller": "Which RAID controller is to build it, by the name that the driver uses. "
    "'software' has the ramdisk build it without one.",
    "disk_type": "Kind of the physical disks: hdd or ssd.",
    "interface_type": "Bus of the physical disks: sata, scsi or sas.",
    "volume_name": "Name of the volume. Left out: one is made up.",
    "is_root_volume": "true for the one volume on which the system is to be installed.",
    "number_of_physical_disks": "How many physical disks to build it from. Left out: as few as "
    "the level needs.",
    "physical_disks": "Exactly which physical disks to build it from, as a list.",
    "share_physical_disks": "true if other logical disks may lie on the same physical disks.",
}

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["logical_disks"],
    "properties": {
        "logical_disks": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["size_gb", "raid_level"],
                "properties": {
                    "size_gb": {
                        "anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["MAX"]}],
                    },
                    "raid_level": {"enum": list(LEVELS)},
                    "controller": {"type": "string"},
                    "disk_type": {"enum": ["hdd", "ssd"]},
                    "interface_type": {"enum": ["sata", "scsi", "sas"]},
                    "volume_name": {"type": ["string", "null"]},
                    "is_root_volume": {"type": "boolean"},
                    "number_of_physical_disks": {"type": "integer", "minimum": 1},
                    "physical_disks": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": ["string", "object"]},
                    },
                    "share_physical_disks": {"type": "boolean"},
                },
            },
        }
    },
}


class ConfiguredRaid(Raid):
    """Takes configurations in the usual form."""

    def validate_config(self, node: Node, config: Mapping[str, Any]) -> None:
        problem = next(_validator().iter_errors(dict(config)), None)
        if problem is not None:
            where = "/".join(str(part) for part in problem.instance_path)
            raise Invalid(f"target_raid_config: {where or 'the whole'}: {problem.message[:300]}.")
        roots = sum(bool(disk.get("is_root_volume")) for disk in config["logical_disks"])
        if roots > 1:
            raise Invalid(
                f"target_raid_config: {roots} logical disks are marked is_root_volume; only one "
                "can be the root volume."
            )

    def logical_disk_properties(self) -> Mapping[str, str]:
        return LOGICAL_DISK


@functools.cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(_SCHEMA)
