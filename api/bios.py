"""BIOS settings of nodes, as they were last read: ``/v1/nodes/{ident}/bios``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from api import nodes, paging
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import ANY_TEXT, BOOLEAN_OR_NULL, LINKS, TEXT, TEXT_OR_NULL, TIME, Field, Row, Table
from api.view import View
from drophammer import bios
from drophammer.errors import NotFound

DETAIL_SINCE = 74
_NUMBER = {"type": ["integer", "null"]}
_VALUES = {"type": ["array", "null"]}


def _links(row: Row, view: View) -> Any:
    return view.links("nodes", row["node_uuid"], "bios", quote(row["name"], safe=""))


SETTING = Table(
    "BIOS setting",
    "bios",
    [
        Field("name", 1, TEXT),
        Field("value", 1, ANY_TEXT),
        Field("created_at", 1, TIME),
        Field("updated_at", 1, TIME),
        Field("links", 1, LINKS, show=_links),
        Field("attribute_type", DETAIL_SINCE, TEXT_OR_NULL),
        Field("allowable_values", DETAIL_SINCE, _VALUES),
        Field("lower_bound", DETAIL_SINCE, _NUMBER),
        Field("upper_bound", DETAIL_SINCE, _NUMBER),
        Field("min_length", DETAIL_SINCE, _NUMBER),
        Field("max_length", DETAIL_SINCE, _NUMBER),
        Field("read_only", DETAIL_SINCE, BOOLEAN_OR_NULL),
        Field("reset_required", DETAIL_SINCE, BOOLEAN_OR_NULL),
        Field("unique", DETAIL_SINCE, BOOLEAN_OR_NULL),
    ],
    brief=("name", "value", "created_at", "updated_at", "links"),
)


@takes(query={"detail": DETAIL_SINCE, "fields": DETAIL_SINCE}, lists=SETTING)
def index(call: Call, ident: str) -> Reply:
    """List the BIOS settings of a node."""
    fields = paging.shown(call.query, SETTING, call.version)
    node = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        found = bios.of_node(connection, node["id"])
    view = call.view()
    return Reply(body={"bios": [view.show(_of(node, row), fields) for row in found]})


# The one setting stands under its own name, which no schema can know.
@takes(reply={"type": "object", "additionalProperties": {"type": "object"}})
def show(call: Call, ident: str, setting: str) -> Reply:
    """Show one BIOS setting of a node."""
    node = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        row = bios.one(connection, node["id"], setting)
    if row is None:
        raise NotFound(f"Node {node['uuid']} doesn't have a BIOS setting '{setting[:80]}'.")
    return Reply(body={setting: call.view().show(_of(node, row), SETTING.visible(call.version))})


def _of(node: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "node_uuid": node["uuid"]}
