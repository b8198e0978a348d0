"""Taking a node out of automated hands, and giving it back."""

from __future__ import annotations

import functools
from typing import Any

import jsonschema_rs
from sqlalchemy.orm import Session

from api import nodes
from api.call import Call, Reply
from api.fields import LONG_TEXT, check, compiled
from drophammer import events
from drophammer import nodes as rows


def enable(call: Call, ident: str) -> Reply:
    """PUT /v1/nodes/{ident}/maintenance"""
    call.query({})
    body = call.body()
    if body is not None:
        check(_schema(), body, "maintenance")
    reason = (body or {}).get("reason")
    values = {"maintenance": True, "maintenance_reason": reason}
    _write(call, ident, values, f"maintenance set: {reason or 'no reason given'}")
    return Reply(202)


def disable(call: Call, ident: str) -> Reply:
    """DELETE /v1/nodes/{ident}/maintenance: also forgets the reason and the fault."""
    call.query({})
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

    call.write_when_free(change)
    return found[0]


@functools.cache
def _schema() -> jsonschema_rs.Validator:
    return compiled({"reason": LONG_TEXT})
