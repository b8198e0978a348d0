"""How events look: as JSON, and on the stream. Where they come from is not known here."""

from __future__ import annotations

from typing import Any

from api import wire
from api.view import time
from drophammer.masking import mask

SIGN_OF_LIFE = b": still here\n\n"
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    # Or nginx collects events until it has a buffer full of them.
    "X-Accel-Buffering": "no",
}


def shown(event: Any) -> dict[str, Any]:
    """An event as programs see it; of one about a node that is gone, what was written down."""
    data = mask(event.data)
    return {
        "id": event.id,
        "at": time(event.at),
        "node": event.node or data.get("node"),
        "node_name": event.node_name or data.get("node_name"),
        "source": event.source,
        "kind": event.kind,
        "message": event.message,
        "data": data,
    }


def message(event: Any) -> bytes:
    """An event as the stream tells it. JSON has no line breaks of its own."""
    head = f"id: {event.id}\nevent: {event.kind}\ndata: ".encode()
    return b"%s%s\n\n" % (head, wire.dumps(shown(event)))


def greeting(position: int) -> bytes:
    """What a stream begins with: when to come back, and from where should nothing happen."""
    return b"retry: 1000\nid: %d\n\n" % position
