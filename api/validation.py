"""Whether a node's interfaces have all they need, asked of the conductor."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import ANY_TEXT, BOOLEAN_OR_NULL, closed
from drophammer.errors import Invalid

_RESULT = closed({"result": BOOLEAN_OR_NULL, "reason": ANY_TEXT}, required=("result",))
_RESULTS = {"type": "object", "additionalProperties": _RESULT}


@takes(reply=_RESULTS)
def show(call: Call, ident: str) -> Reply:
    """Tell whether each interface of a node has all it needs."""
    return _validate(call, ident)


@takes(query={"node": 1, "node_uuid": 1}, reply=_RESULTS)
def show_by_query(call: Call) -> Reply:
    """Tell the same of the node named in the query."""
    ident = call.query.text("node") or call.query.text("node_uuid")
    if not ident:
        raise Invalid("Missing mandatory parameter: node")
    return _validate(call, ident)


def _validate(call: Call, ident: str) -> Reply:
    row = nodes.find(call, ident, ())
    return Reply(body=call.conductor("validate", node_id=row["id"]))
