"""Firmware of nodes, as it was last read: ``/v1/nodes/{ident}/firmware``."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import TEXT, TEXT_OR_NULL, TIME, Field, Table
from drophammer import firmware

IDENTITY_SINCE = 114

COMPONENT = Table(
    "firmware component",
    "firmware",
    [
        Field("component", 1, TEXT),
        Field("initial_version", 1, TEXT_OR_NULL),
        Field("current_version", 1, TEXT_OR_NULL),
        Field("last_version_flashed", 1, TEXT_OR_NULL),
        Field("created_at", 1, TIME),
        Field("updated_at", 1, TIME),
        Field("vendor", IDENTITY_SINCE, TEXT_OR_NULL),
        Field("model", IDENTITY_SINCE, TEXT_OR_NULL),
        Field("serial_number", IDENTITY_SINCE, TEXT_OR_NULL),
    ],
    brief=(),
)


@takes(query={"fields": 86}, lists=COMPONENT)
def index(call: Call, ident: str) -> Reply:
    """List the firmware components of a node."""
    chosen = call.query.names("fields")
    fields = COMPONENT.chosen(chosen, call.version) if chosen else COMPONENT.visible(call.version)
    node = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        found = firmware.of_node(connection, node["id"])
    view = call.view()
    return Reply(body={"firmware": [view.show(row, fields) for row in found]})
