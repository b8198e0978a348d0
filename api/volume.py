"""``/v1/volume``: where connectors and targets are, and the rules that both have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LINKS, closed
from api.node_resource import NodeResource
from drophammer import states
from drophammer.errors import Invalid
from drophammer.rows import Row

SINCE = 32
_DELETABLE = frozenset({states.ENROLL, states.MANAGEABLE, states.ADOPT_FAILED})
_DOCUMENT = closed({"links": LINKS, "connectors": LINKS, "targets": LINKS})


class VolumeResource(NodeResource):
    """What says how a node reaches its volumes: it changes only while the node is off."""

    detail_since = SINCE

    def check_change(self, call: Call, session: Session, row: Row, changed: dict[str, Any]) -> None:
        """Raise Invalid unless the node is off, and the one that it moves to."""
        self._check_off(row, "changed")
        super().check_change(call, session, row, changed)
        self._check_off(row, "changed")

    def check_remove(self, call: Call, session: Session, row: Row) -> None:
        """Raise Invalid unless the node is off, or has no system that could use the volume."""
        super().check_remove(call, session, row)
        if row["node_provision_state"] not in _DELETABLE:
            self._check_off(row, "deleted")

    def _check_off(self, row: Row, done: str) -> None:
        power = row["node_power_state"]
        if power != states.POWER_OFF:
            raise Invalid(
                f"{self.rows.noun} {row['uuid']} cannot be {done}: node {row['node_uuid']} must be "
                f"powered off, and its power state is {power or 'not known'}."
            )


@takes(reply=_DOCUMENT)
def show(call: Call) -> Reply:
    """Show where volume connectors and targets are."""
    return Reply(body=_document(call, "volume"))


@takes(reply=_DOCUMENT)
def of_node(call: Call, ident: str) -> Reply:
    """Show where the volume connectors and targets of a node are."""
    row = nodes.find(call, ident, ())
    return Reply(body=_document(call, "nodes", row["uuid"], "volume"))


def _document(call: Call, *path: str) -> dict[str, Any]:
    view = call.view()
    return {
        "links": view.links(*path, ""),
        "connectors": view.links(*path, "connectors"),
        "targets": view.links(*path, "targets"),
    }
