"""Queries on volume connectors."""

from __future__ import annotations

from drophammer.model import VolumeConnector
from drophammer.rows import Rows

VOLUME_CONNECTORS = Rows(
    VolumeConnector,
    "Volume connector",
    of_node=True,
    filters={"node_id": lambda node_id: VolumeConnector.node_id == node_id},
    taken={"type": "type {type} and connector_id {connector_id}"},
)
