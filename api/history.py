"""What became of the operations on a node: ``/v1/nodes/{ident}/history``."""

from __future__ import annotations

from typing import Any

from api import nodes, paging
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import ANY_TEXT, LINKS, TEXT, TEXT_OR_NULL, TIME, UUID, Field, Row, Table
from api.view import Shown, View
from drophammer.errors import Invalid
from drophammer.history import HISTORY as ROWS
from drophammer.identity import normal_uuid

LONGEST = 255
_CUT = 251


def _links(row: Row, view: View) -> Any:
    return [view.link("nodes", row["node_uuid"], "history", row["uuid"])]


def _shortened(row: Row, view: View) -> Any:
    event: str = row["event"]
    return event if len(event) <= LONGEST else f"{event[:_CUT]}..."


ENTRY = Table(
    "history entry",
    "history",
    [
        Field("uuid", 1, UUID),
        Field("created_at", 1, TIME, sort=True),
        Field("severity", 1, TEXT, sort=True),
        Field("event", 1, ANY_TEXT),
        Field("event_type", 1, TEXT, sort=True),
        Field("conductor", 1, TEXT_OR_NULL, sort=True),
        Field("user", 1, TEXT_OR_NULL, sort=True),
        Field("project", 113, TEXT_OR_NULL, sort=True),
        Field("state", 115, TEXT_OR_NULL, sort=True),
        Field("target_provision_state", 115, TEXT_OR_NULL, sort=True),
        Field("duration_seconds", 115, {"type": ["number", "null"]}, sort=True),
        Field("links", 1, LINKS, columns=("uuid", "node_uuid"), show=_links),
    ],
    brief=("uuid", "created_at", "severity", "event", "links"),
)
_SHORT_EVENT = Field("event", show=_shortened)


@takes(query={**paging.ARGUMENTS, "detail": 78}, lists=ENTRY)
def index(call: Call, ident: str) -> Reply:
    """List a node's history, oldest first."""
    query = call.query
    fields = ENTRY.visible(call.version)
    if not query.boolean("detail"):
        brief = ENTRY.shown_in_lists(call.version)
        fields = Shown(_SHORT_EVENT if field.name == "event" else field for field in brief)
    page = paging.asked(query, ENTRY, call.version, call.settings.max_limit)
    node = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        rows = ROWS.page(connection, {"node_id": node["id"]}, page, fields.columns)
    view = call.view()
    items = [view.show(row, fields) for row in rows]
    last = rows[-1]["uuid"] if rows else None
    url = f"{call.base}{call.path}"
    return Reply(body=paging.document("history", items, url, query, page, last))


@takes(shows=ENTRY)
def show(call: Call, ident: str, uuid: str) -> Reply:
    """Show one entry of a node's history."""
    if normal_uuid(uuid) is None:
        raise Invalid(f"Expected the UUID of a history entry but received {uuid[:80]!r}.")
    fields = ENTRY.visible(call.version)
    node = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        row = ROWS.find(connection, uuid, fields.columns)
    if row["node_uuid"] != node["uuid"]:
        raise ROWS.not_found(uuid)
    return Reply(body=call.view().show(row, fields))
