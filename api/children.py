"""Nodes that are parts of another node: ``/v1/nodes/{ident}/children``."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import UUID, closed
from drophammer import nodes as rows

_LINK = closed({"href": {"type": "string"}, "rel": {"const": "children"}})
_CHILDREN = closed({"children": {"type": "array", "items": UUID}, "links": _LINK})


@takes(reply=_CHILDREN)
def index(call: Call, ident: str) -> Reply:
    """List the UUIDs of a node's children."""
    row = nodes.find(call, ident, ())
    with call.store.ask() as connection:
        found = rows.children(connection, row["uuid"])
    # One link and no list of links: odd, and what clients know.
    link = {"href": f"{call.base}/v1/nodes/{row['uuid']}/children", "rel": "children"}
    return Reply(body={"children": found, "links": link})
