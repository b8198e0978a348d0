"""Non-maskable interrupts: what makes a hung system dump its memory."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import closed


@takes(body=closed({}), optional=True, status=204)
def inject_nmi(call: Call, ident: str) -> Reply:
    """Send a non-maskable interrupt to a node."""
    call.body()
    row = nodes.find(call, ident, ())
    call.conductor_when_free("inject_nmi", node_id=row["id"])
    return Reply(204)
