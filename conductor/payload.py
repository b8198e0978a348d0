"""The node and port records that agent commands carry (contract: agent wire, "step objects").

Only what an agent may rely on; secrets stay here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drophammer.masking import mask
from drophammer.model import Node, Port

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
        "instance_info": mask(node.instance_info),
        "driver_info": mask(node.driver_info),
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
