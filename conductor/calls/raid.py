"""What RAID a node is to have. Building it is a matter of steps."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from conductor.calls.access import Columns, NodeCalls
from conductor.drivers.base import Raid
from conductor.drivers.registry import Driver
from drophammer.errors import NotFound
from drophammer.model import Node


class RaidCalls(NodeCalls):
    def set_target_raid_config(self, node_id: int, config: dict[str, Any]) -> None:
        """Write down what the next raid.create_configuration is to build; {} for nothing."""

        def change(session: Session, node: Node, driver: Driver) -> Columns:
            raid = driver.raid
            if config:
                raid.validate_config(node, config)
            return {"target_raid_config": config}

        self._at_once(node_id, "set target RAID configuration", change)

    def raid_logical_disk_properties(self, driver: str) -> dict[str, str]:
        """What a logical disk may say, with descriptions. NotFound when there is no RAID."""
        raid = self._box.drivers.default(self._box, driver, "raid")
        if not isinstance(raid, Raid):
            raise NotFound(f"The driver '{driver}' does not support RAID configuration.")
        return dict(raid.logical_disk_properties())
