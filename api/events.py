"""What happened to a node, in order, for those who follow along. Our own addition."""

from __future__ import annotations

from api import nodes
from api.call import Call, Reply
from api.endpoint import closed, takes
from api.fields import OBJECT, TEXT, TIME
from api.view import time
from drophammer import events
from drophammer.masking import mask

DEFAULT_LIMIT = 100
LARGEST_ID = 2**63 - 1
_EVENT = closed(
    {
        "id": {"type": "integer"},
        "at": TIME,
        "source": TEXT,
        "kind": TEXT,
        "message": {"type": "string"},
        "data": {**OBJECT, "type": ["object", "null"]},
    }
)
_EVENTS = closed(
    {"events": {"type": "array", "items": _EVENT}, "next_after": {"type": "integer"}},
    required=("events", "next_after"),
)


@takes(query={"after": 1, "limit": 1}, reply=_EVENTS)
def index(call: Call, ident: str) -> Reply:
    """List what happened to a node, oldest first."""
    query = call.query
    after = query.integer("after", least=0, most=LARGEST_ID) or 0
    limit = min(query.integer("limit", least=1) or DEFAULT_LIMIT, call.settings.max_limit)
    row = nodes.find(call, ident, ())
    with call.store.read() as session:
        found = events.of_node(session, row["id"], after, limit)
    items = [
        {
            "id": event.id,
            "at": time(event.at),
            "source": event.source,
            "kind": event.kind,
            "message": event.message,
            "data": mask(event.data),
        }
        for event in found
    ]
    return Reply(body={"events": items, "next_after": found[-1].id if found else after})
