"""Queries on events: what happened to a node, told by every role, read in order."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session

from drophammer.model import Event

_TOLD = "events to be written"


def record(
    session: Session,
    *,
    node_id: int | None,
    at: datetime.datetime,
    source: str,
    kind: str,
    message: str,
    data: dict[str, Any] | None = None,
) -> None:
    """Add one event. ``message`` is one line for people, ``data`` the same for programs.

    All that a transaction tells is written at its end, in one statement.
    """
    row = {"node_id": node_id, "at": at, "source": source, "kind": kind, "message": message}
    session.info.setdefault(_TOLD, []).append({**row, "data": data or {}})


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    told = session.info.pop(_TOLD, None)
    if told:
        session.execute(insert(Event), told)


def of_node(session: Session, node_id: int, after: int, limit: int) -> Sequence[Event]:
    """Events of a node with an id above ``after``, oldest first."""
    return session.scalars(
        select(Event)
        .where(Event.node_id == node_id, Event.id > after)
        .order_by(Event.id)
        .limit(limit)
    ).all()
