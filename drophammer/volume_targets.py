"""Queries on volume targets."""

from __future__ import annotations

from drophammer.model import VolumeTarget
from drophammer.rows import Rows

VOLUME_TARGETS = Rows(
    VolumeTarget,
    "Volume target",
    of_node=True,
    filters={"node_id": lambda node_id: VolumeTarget.node_id == node_id},
    taken={"node_id": "boot_index {boot_index} on the same node"},
)
