"""Who holds a node, for what and until when, and taking it from them. Our own addition.

Taking it away is safe: each write of the former holder names a fence that has moved, so
it writes nothing more. What it had begun is in the journal; a conductor goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from api import nodes
from api.call import Call, Reply
from api.endpoint import takes
from api.fields import LONG_TEXT, LONGEST, TEXT, TEXT_OR_NULL, TIME, closed
from api.view import time
from drophammer import events, history
from drophammer.errors import Conflict
from drophammer.nodes import LEASE_COLUMNS
from drophammer.store import held

COLUMNS = LEASE_COLUMNS | {"fence"}
LEASE = closed(
    {
        "owner": TEXT,
        "host": TEXT_OR_NULL,
        "purpose": TEXT_OR_NULL,
        "since": TIME,
        "expires": TIME,
        "fence": {"type": "integer"},
    }
)
LEASE_OR_NULL = {**LEASE, "type": ["object", "null"]}


@takes(reply=closed({"lease": LEASE_OR_NULL}, required=("lease",)))
def show(call: Call, ident: str) -> Reply:
    """Show who holds a node, for what and until when; null when nobody does."""
    row = nodes.find(call, ident, COLUMNS)
    return Reply(body={"lease": shown(call, row)})


@takes(
    query={"reason": 1},
    body=closed({"reason": LONG_TEXT}),
    optional=True,
    reply=closed({"broken": LEASE}, required=("broken",)),
)
def destroy(call: Call, ident: str) -> Reply:
    """Take a node from whoever holds it, and have its work gone on with."""
    reason = (call.body() or {}).get("reason") or call.query.text("reason", longest=LONGEST)
    row = nodes.find(call, ident, {"provision_state", "target_provision_state"})
    with call.store.write() as session:
        former = call.store.break_lease(session, row["id"])
        if former is None:
            raise Conflict(f"Nobody holds node {row['uuid']}: there is no lease to break.")
        _tell(session, call, row, former, reason)
    call.tell_conductor("go_on", node_id=row["id"])
    return Reply(body={"broken": _shown(former)})


def shown(call: Call, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The lease of a node whose ``COLUMNS`` are in ``row``; None when it is free."""
    return _shown(row) if held(row, call.store.clock.now()) else None


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "owner": row["lease_owner"],
        "host": row["lease_host"],
        "purpose": row["lease_purpose"],
        "since": time(row["lease_since"]),
        "expires": time(row["lease_expires"]),
        "fence": row["fence"],
    }


def _tell(
    session: Session,
    call: Call,
    row: Mapping[str, Any],
    former: Mapping[str, Any],
    reason: str | None,
) -> None:
    """Who took it from whom, and why, as an event and in the node's history."""
    now = call.store.clock.now()
    since = former["lease_since"]
    text = (
        f"The lease of host {former['lease_host'] or 'unknown'} for "
        f"'{former['lease_purpose'] or 'unknown'}' was broken by {call.user or 'an operator'}: "
        f"{reason or 'no reason was given'}."
    )
    events.record(
        session,
        node_id=row["id"],
        at=now,
        source="api",
        kind="lease",
        message=text,
        data={"holder": former["lease_owner"], "fence": former["fence"]},
    )
    history.record(
        session,
        node_id=row["id"],
        at=now,
        severity=history.INFO,
        event_type="lease",
        event=text,
        conductor=former["lease_host"] or "unknown",
        user=call.user,
        project=None,
        state=row["provision_state"],
        target=row["target_provision_state"],
        seconds=(now - since).total_seconds() if since is not None else 0.0,
    )
