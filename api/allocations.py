"""The resource ``/v1/allocations``, and the allocation of a node.

How an allocation gets its node is in ``drophammer/allocations.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import (
    ANY_TEXT,
    LINKS,
    OBJECT,
    TEXT_OR_NULL,
    TEXTS,
    TIME,
    UUID,
    UUID_OR_NULL,
    Field,
    Row,
    Table,
)
from api.resource import Resource
from api.versions import text as version_text
from api.view import View
from drophammer import allocations, traits
from drophammer.allocations import ALLOCATIONS as ROWS
from drophammer.candidates import ALLOCATING
from drophammer.errors import Invalid, NotAcceptable, NotFound
from drophammer.rows import Row as StoredRow
from drophammer.rows import Rows

SINCE = 52
BACKFILL_SINCE = 58
_CLASS: dict[str, Any] = {**TEXT_OR_NULL, "maxLength": 80}
_STATE: dict[str, Any] = {"enum": list(allocations.STATES)}


def _links(row: Row, view: View) -> Any:
    return view.links("allocations", row["uuid"])


# fmt: off
_FIELDS = [
    Field("uuid", SINCE, UUID, create=True, sort=True),
    Field("name", SINCE, TEXT_OR_NULL, create=True, patch=True, sort=True),
    Field("node_uuid", SINCE, UUID_OR_NULL),
    Field("resource_class", SINCE, _CLASS, create=True, sort=True),
    Field("state", SINCE, _STATE, sort=True),
    Field("last_error", SINCE, ANY_TEXT, sort=True),
    Field("candidate_nodes", SINCE, TEXTS, create=True, default=[]),
    Field("traits", SINCE, TEXTS, create=True, default=[]),
    Field("extra", SINCE, OBJECT, create=True, patch=True, default={}),
    Field("created_at", SINCE, TIME, sort=True),
    Field("updated_at", SINCE, TIME, sort=True),
    Field("links", SINCE, LINKS, columns=("uuid",), show=_links),
    Field("owner", 60, TEXT_OR_NULL, create=True, sort=True),
]
# fmt: on
TABLE = Table("allocation", "allocations", _FIELDS, brief=[entry.name for entry in _FIELDS])
_NODE = Field("node", BACKFILL_SINCE, TEXT_OR_NULL, create=True)


class Allocations(Resource):
    """Allocations. They are decided on at once, while POST runs.

    Its answer shows them as they were accepted all the same, ``allocating`` and without
    a node: clients expect the outcome from the next GET.
    """

    filters = {"node": 1, "resource_class": 1, "state": 1, "owner": 60}

    def __init__(self, table: Table, rows: Rows) -> None:
        super().__init__(table, rows)
        self.create = replace(self.create, also={"node": _NODE})

    def narrowed(self, call: Call) -> dict[str, Any]:
        """By node, resource class, state or owner."""
        names = ("resource_class", "state", "owner")
        found: dict[str, Any] = {
            name: value for name in names if (value := call.query.text(name)) is not None
        }
        if (node := call.query.text("node")) is not None:
            try:
                found["node_allocation"] = nodes.find(call, node, {"allocation_uuid"})[
                    "allocation_uuid"
                ]
            except NotFound as error:
                raise Invalid(error.message) from error
        return found

    def normalised(self, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Traits that there are, each once."""
        values = super().normalised(values, version)
        if "traits" in values:
            values["traits"] = list(dict.fromkeys(values["traits"]))
            traits.check_all(values["traits"], "an allocation")
        return values

    def remove(self, call: Call, session: Session, row: StoredRow) -> None:
        """Delete an allocation and free its node. Raises Conflict."""
        call.node = row["node_uuid"]
        if call.node is not None:
            call.check_turn(call.node)
        allocations.release(session, row, call.store.clock.now())

    def _new(self, call: Call) -> dict[str, Any]:
        body = self._meant(call.body())
        node = body.pop("node", None) if isinstance(body, dict) else None
        values = self.table.check_new(body, call.version, self.required)
        if node is not None:
            _check_node(node, call.version)
            values["node"] = node
        elif not values.get("resource_class"):
            raise Invalid("Missing mandatory parameter: resource_class (or node, for one in use).")
        return values

    def _create(self, call: Call) -> Reply:
        values = self.normalised(self._new(call), call.version)
        values = {"candidate_nodes": [], "traits": [], "extra": {}, **values}
        node = values.pop("node", None)

        def add(session: Session) -> StoredRow:
            now = call.store.clock.now()
            idents = values["candidate_nodes"]
            found = allocations.resolved(session, idents) if idents else []
            wanted = {**values, "candidate_nodes": found}
            if node is not None:
                return allocations.backfill(session, wanted, node, now)
            return allocations.create(session, wanted, now)

        row = call.write_when_free(add, key=node)
        call.node = row["node_uuid"]
        if node is None:
            accepted = {"state": ALLOCATING, "node_uuid": None, "last_error": None}
            row = {**row, **accepted}
        return self._created(call, row)

    def _delete(self, call: Call, ident: str) -> Reply:
        def remove(session: Session) -> None:
            self.remove(call, session, self.find(call, session, ident, self._for_change))

        call.write_when_free(remove)
        return Reply(204)


def _check_node(ident: Any, version: int) -> None:
    if version < BACKFILL_SINCE:
        raise NotAcceptable(
            f"The field 'node' of an allocation needs API version {version_text(BACKFILL_SINCE)}; "
            f"the request speaks {version_text(version)}."
        )
    if not isinstance(ident, str):
        raise Invalid("node: expected the UUID or name of a node.")


ALLOCATIONS = Allocations(TABLE, ROWS)


@takes(query={"fields": 8}, shows=TABLE)
def of_node(call: Call, ident: str) -> Reply:
    """Show the allocation of a node."""
    uuid = _of_node(call, ident)
    return ALLOCATIONS.show(call, uuid)


@takes(status=204)
def delete_of_node(call: Call, ident: str) -> Reply:
    """Delete the allocation of a node."""
    uuid = _of_node(call, ident)
    return ALLOCATIONS.delete(call, uuid)


def _of_node(call: Call, ident: str) -> str:
    row = nodes.find(call, ident, {"allocation_uuid"})
    if row["allocation_uuid"] is None:
        raise NotFound(f"Node {row['uuid']} has no allocation.")
    return str(row["allocation_uuid"])
