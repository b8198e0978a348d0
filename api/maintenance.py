"""Taking a node out of automated hands, and giving it back."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import nodes
from api.announce import node_announced
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LONG_TEXT, closed
from drophammer import events
from drophammer import nodes as rows

_REASON = closed({"reason": LONG_TEXT})


@takes(body=_REASON, optional=True, status=202)
def enable(call: Call, ident: str) -> Reply:
    """Set maintenance on a node."""
    body = call.body()
    reason = (body or {}).get("reason")
    values = {"maintenance": True, "maintenance_reason": reason}
    _write(call, ident, values, f"maintenance set: {reason or 'no reason given'}")
    return Reply(202)


@takes(status=202)
def disable(call: Call, ident: str) -> Reply:
    """Unset maintenance of a node; its reason and fault are forgotten too."""
    values = {"maintenance": False, "maintenance_reason": None, "fault": None}
    node_id = _write(call, ident, values, "maintenance unset")
    # What a ramdisk said meanwhile was heard and not acted upon.
    call.tell_conductor("heartbeat", node_id=node_id)
    return Reply(202)


def _write(call: Call, ident: str, values: dict[str, Any], message: str) -> int:
    found: list[int] = []

    def change(session: Session) -> None:
        row = nodes.find_locked(session, call, ident)
        now = call.store.clock.now()
        rows.change(session, row["id"], {**values, "updated_at": now})
        events.record(
            session, node_id=row["id"], at=now, source="api", kind="maintenance", message=message
        )

        found[:] = [row["id"]]

    with node_announced("maintenance_set", nodes.whole(call, ident)):
        call.write_when_free(change)
    return found[0]
