"""Tenants' network ports (VIFs) on a node's own ports."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from conductor.calls.access import NodeCalls
from conductor.drivers.registry import Driver
from drophammer.errors import Invalid
from drophammer.model import Node


class VifCalls(NodeCalls):
    def list_vifs(self, node_id: int) -> list[dict[str, Any]]:
        """The attached VIFs as [{"id": ...}]."""
        node, driver = self._driver(node_id)
        with self._box.store.read() as session:
            return driver.network.vifs(session, node)

    def attach_vif(self, node_id: int, info: dict[str, Any]) -> None:
        """Attach the VIF ``info["id"]``, to ``port_uuid`` or ``portgroup_uuid`` if given."""
        if not isinstance(info.get("id"), str) or not info["id"]:
            raise Invalid("A VIF needs an id.")

        def change(session: Session, node: Node, driver: Driver) -> None:
            driver.network.attach_vif(session, node, info)

        self._at_once(node_id, "attach VIF", change)

    def detach_vif(self, node_id: int, vif: str) -> None:
        """Detach a VIF."""

        def change(session: Session, node: Node, driver: Driver) -> None:
            driver.network.detach_vif(session, node, vif)

        self._at_once(node_id, "detach VIF", change)
