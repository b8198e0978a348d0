"""Queries on events: what happened to a node, told by every role, read in order."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drophammer.model import Event


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
    """Add one event. ``message`` is one line for people, ``data`` the same for programs."""
    session.add(
        Event(node_id=node_id, at=at, source=source, kind=kind, message=message, data=data or {})
    )


def of_node(session: Session, node_id: int, after: int, limit: int) -> Sequence[Event]:
    """Events of a node with an id above ``after``, oldest first."""
    return session.scalars(
        select(Event)
        .where(Event.node_id == node_id, Event.id > after)
        .order_by(Event.id)
        .limit(limit)
    ).all()
