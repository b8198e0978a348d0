"""The node and port records that agent commands carry (contract: agent wire, "step objects").

Only what an agent may rely on; secrets stay here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drophammer.model import Node, Port

_HIDDEN = "******"
_SECRET_WORDS = ("password", "secret", "token", "configdrive", "private_key", "passphrase", "_key")

# What the ramdisk's erase steps read; the values are the reference's defaults.
_ERASE_SWITCHES = {
    "agent_erase_devices_iterations": 1,
    "agent_erase_devices_zeroize": True,
    "agent_continue_if_secure_erase_failed": False,
    "agent_continue_if_ata_erase_failed": False,
    "agent_enable_ata_secure_erase": True,
    "agent_enable_nvme_secure_erase": True,
    "disk_erasure_concurrency": 4,
    "agent_erase_skip_read_only": False,
}


def node_for_agent(node: Node) -> dict[str, Any]:
    """The node as the agent gets it; values of secret-looking keys are masked."""
    return {
        "uuid": node.uuid,
        "name": node.name,
        "driver": node.driver,
        "properties": node.properties,
        "instance_info": _masked(node.instance_info),
        "driver_info": _masked(node.driver_info),
        "driver_internal_info": dict(_ERASE_SWITCHES),
        "raid_config": node.raid_config,
        "target_raid_config": node.target_raid_config,
        "extra": node.extra,
        "instance_uuid": node.instance_uuid,
        "provision_state": node.provision_state,
    }


def ports_for_agent(ports: Sequence[Port]) -> list[dict[str, Any]]:
    """The node's ports as the agent gets them."""
    return [
        {
            "id": port.id,
            "uuid": port.uuid,
            "node_id": port.node_id,
            "address": port.address,
            "pxe_enabled": port.pxe_enabled,
            "local_link_connection": port.local_link_connection,
            "physical_network": port.physical_network,
            "extra": port.extra,
            "internal_info": port.internal_info,
            "is_smartnic": port.is_smartnic,
            "name": port.name,
        }
        for port in ports
    ]


def _masked(info: dict[str, Any]) -> dict[str, Any]:
    masked: dict[str, Any] = {}
    for key, value in info.items():
        if any(word in key.lower() for word in _SECRET_WORDS):
            masked[key] = _HIDDEN
        else:
            masked[key] = _masked(value) if isinstance(value, dict) else value
    return masked
