"""What nouns whose rows belong to nodes have in common beyond ``resource.py``.

Such a row can only change while nobody holds its node; it may be moved to another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from api import nodes, paging, patch
from api.call import Call, Reply
from api.endpoint import Endpoint
from api.fields import Table
from api.resource import Resource
from drophammer import nodes as node_rows
from drophammer import vifs
from drophammer.errors import Conflict, Invalid, NotFound
from drophammer.identity import normal_uuid
from drophammer.rows import NODE_COLUMNS, Row, Rows
from drophammer.store import Reader


class NodeResource(Resource):
    """A noun whose rows belong to nodes: ``node_uuid`` on the wire, ``node_id`` in the table.

    ``below_node`` and ``below_node_detail`` list those of the node that the URL names.
    """

    filters: Mapping[str, int] = {"node": 1}

    def __init__(self, table: Table, rows: Rows, path: str = "") -> None:
        super().__init__(table, rows, path)
        self.below_node = Endpoint(
            self.of_node,
            {**paging.ARGUMENTS, "fields": self.fields_since, "detail": 1},
            lists=table,
            summary=f"List the {table.plural} of a node.",
        )
        self.below_node_detail = Endpoint(
            self._of_node_detail,
            paging.ARGUMENTS,
            lists=table,
            summary=f"List the {table.plural} of a node with all fields.",
        )

    def narrowed(self, call: Call) -> dict[str, Any]:
        """By node."""
        node = call.query.text("node") if "node" in self.filters else None
        return {} if node is None else {"node_id": nodes.find(call, node, ())["id"]}

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """The node's UUID in its usual spelling."""
        values = super().normalised(values, version)
        if "node_uuid" in values:
            values["node_uuid"] = normal_uuid(values["node_uuid"]) or values["node_uuid"]
        return values

    def prepare(self, call: Call, session: Session, values: dict[str, Any]) -> dict[str, Any]:
        """Find the node that the body names. Raises Invalid."""
        node = self._node(session, values.pop("node_uuid"))
        call.node = node["node_uuid"]
        values["node_id"] = node["node_id"]
        return {name: node[name] for name in NODE_COLUMNS}

    def find(
        self,
        call: Call,
        session: Reader,
        ident: str,
        wanted: Collection[str],
        stored: Collection[str] = (),
        *,
        lock: bool = False,
        moves_to: str | None = None,
    ) -> Row:
        """The row that a URL names, and its node for the access log."""
        columns = {*wanted, "node_uuid"}
        row = super().find(call, session, ident, columns, stored, lock=lock, moves_to=moves_to)
        call.node = row["node_uuid"]
        return row

    def moves_to(self, steps: list[patch.Step]) -> str | None:
        """The node in the body, so that it is locked together with the row's own."""
        for step in reversed(steps):
            if step.root == "node_uuid" and isinstance(step.value, str):
                return normal_uuid(step.value)
        return None

    def check_change(self, call: Call, session: Session, row: Row, changed: dict[str, Any]) -> None:
        """Raise NodeLocked when somebody holds the node, or the one that it moves to.

        From here on ``row`` is of the node that it moves to.
        """
        self.check_free(call, row)
        if "node_uuid" in changed:
            row.update(self._node(session, changed.pop("node_uuid")))
            changed["node_id"] = row["node_id"]
            self.check_free(call, row)

    def check_remove(self, call: Call, session: Session, row: Row) -> None:
        """Raise NodeLocked when somebody holds the node."""
        self.check_free(call, row)

    def check_free(self, call: Call, row: Row) -> None:
        """Raise NodeLocked when somebody holds the row's node, or has waited for it longer."""
        nodes.check_free(call, {**row, "uuid": row["node_uuid"]})

    def check_detached(self, row: Row) -> None:
        """Raise Conflict while a VIF is on the row: it would be lost, or go to another node."""
        if vifs.attached(row["internal_info"]):
            raise Conflict(f"{self.rows.noun} {row['uuid']} has a VIF attached; detach it first.")

    def of_node(self, call: Call, ident: str, *, detail: bool = False) -> Reply:
        """A page of what belongs to one node."""
        row = nodes.find(call, ident, ())
        return self.listing(call, {"node_id": row["id"]}, detail=detail)

    def _of_node_detail(self, call: Call, ident: str) -> Reply:
        return self.of_node(call, ident, detail=True)

    def _node(self, session: Session, ident: str) -> Row:
        """What rows hold of the node that a body names. Raises Invalid."""
        try:
            node = node_rows.find(session, ident, _OF_NODE)
        except NotFound as error:
            # The node is named in the body: what is wrong is the body, not the address.
            raise Invalid(error.message) from error
        return {"node_id": node["id"], **{name: node[source] for name, source in _SOURCES.items()}}


_SOURCES = {name: name.removeprefix("node_") for name in NODE_COLUMNS}
_OF_NODE = frozenset(_SOURCES.values())
