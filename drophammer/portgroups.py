"""Queries on port groups."""

from __future__ import annotations

from drophammer.model import Node, Portgroup
from drophammer.rows import Rows

PORTGROUPS = Rows(
    Portgroup,
    "Portgroup",
    of_node=True,
    filters={
        "address": lambda mac: Portgroup.address == mac,
        "conductor_groups": lambda names: Node.conductor_group.in_(names),
        "node_id": lambda node_id: Portgroup.node_id == node_id,
        "shard": lambda names: Node.shard.in_(names),
    },
    taken={"name": "name {name}", "address": "MAC address {address}"},
)
