"""The resource ``/v1/chassis``: enclosures, and the nodes in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LINKS, OBJECT, TEXT_OR_NULL, TIME, UUID, Field, Row, Table
from api.node_fields import NODE
from api.resource import Resource
from api.view import View
from drophammer import nodes as node_rows
from drophammer.chassis import CHASSIS as ROWS
from drophammer.errors import Invalid
from drophammer.identity import normal_uuid


def _links(row: Row, view: View) -> Any:
    return view.links("chassis", row["uuid"])


def _nodes(row: Row, view: View) -> Any:
    # A list within a list: odd, and what clients know.
    return [view.links("chassis", row["uuid"], "nodes")]


TABLE = Table(
    "chassis",
    "chassis",
    [
        Field("uuid", 1, UUID, create=True, sort=True),
        Field("description", 1, TEXT_OR_NULL, create=True, patch=True, sort=True),
        Field("extra", 1, OBJECT, create=True, patch=True, default={}),
        Field("created_at", 1, TIME, sort=True),
        Field("updated_at", 1, TIME, sort=True),
        Field("links", 1, LINKS, columns=("uuid",), show=_links),
        Field("nodes", 1, {"type": "array", "items": LINKS}, columns=("uuid",), show=_nodes),
    ],
    brief=("uuid", "description", "links"),
)


class ChassisResource(Resource):
    """A chassis can be deleted when no node is in it."""

    def check_remove(self, call: Call, session: Session, row: dict[str, Any]) -> None:
        """Raise Invalid while nodes are in it."""
        if node_rows.any_in_chassis(session, row["uuid"]):
            raise Invalid(
                f"Chassis {row['uuid']} is not empty; take its nodes out, or delete them, first."
            )


CHASSIS = ChassisResource(TABLE, ROWS)


@takes(query=nodes.BELOW, lists=NODE)
def nodes_of(call: Call, uuid: str) -> Reply:
    """List the nodes of a chassis."""
    return nodes.listing(call, {"chassis_uuid": _known(call, uuid)})


@takes(query=nodes.BELOW_DETAIL, lists=NODE)
def nodes_of_detail(call: Call, uuid: str) -> Reply:
    """List the nodes of a chassis with all fields."""
    return nodes.listing(call, {"chassis_uuid": _known(call, uuid)}, detail=True)


def _known(call: Call, uuid: str) -> str:
    if normal_uuid(uuid) is None:
        raise Invalid(f"Expected the UUID of a chassis but received {uuid[:80]!r}.")
    with call.store.read() as session:
        return str(ROWS.find(session, uuid, ())["uuid"])
