"""Queries on ports."""

from __future__ import annotations

from drophammer.model import Node, Port
from drophammer.rows import Rows

PORTS = Rows(
    Port,
    "Port",
    of_node=True,
    filters={
        "address": lambda mac: Port.address == mac,
        "conductor_groups": lambda names: Node.conductor_group.in_(names),
        "description_contains": lambda text: Port.description.contains(text, autoescape=True),
        "node_id": lambda node_id: Port.node_id == node_id,
        "portgroup_uuid": lambda uuid: Port.portgroup_uuid == uuid,
        "shard": lambda names: Node.shard.in_(names),
    },
    taken={"name": "name {name}", "address": "MAC address {address}"},
)
