"""Whether a node's interfaces have all they need, asked of the conductor."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from drophammer.errors import Invalid


@takes()
def show(call: Call, ident: str) -> Reply:
    """GET /v1/nodes/{ident}/validate"""
    return _validate(call, ident)


@takes(query={"node": 1, "node_uuid": 1})
def show_by_query(call: Call) -> Reply:
    """GET /v1/nodes/validate?node=ident"""
    ident = call.query.text("node") or call.query.text("node_uuid")
    if not ident:
        raise Invalid("Missing mandatory parameter: node")
    return _validate(call, ident)


def _validate(call: Call, ident: str) -> Reply:
    row = nodes.find(call, ident, ())
    return Reply(body=call.conductor("validate", node_id=row["id"]))
