"""Writing the history of nodes: how each operation ended. Entries are added, and cut when old."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.event import listens_for
from sqlalchemy.orm import Session

from drophammer import direct
from drophammer.model import HistoryEntry, new_uuid
from drophammer.rows import Rows
from drophammer.text import readable

ERROR, INFO = "ERROR", "INFO"
_ADDED = "history to be added"
# Not the class: statements on it go through the ORM, which is twice as slow.
_HISTORY: Any = HistoryEntry.__table__

HISTORY = Rows(
    HistoryEntry,
    "History entry",
    of_node=True,
    filters={"node_id": lambda node_id: HistoryEntry.node_id == node_id},
)


def record(
    session: Session,
    *,
    node_id: int,
    at: datetime.datetime,
    severity: str,
    event_type: str,
    event: str,
    conductor: str,
    user: str | None,
    project: str | None,
    state: str,
    target: str | None,
    seconds: float,
) -> None:
    """Add one entry. ``event_type`` is the kind of work; ``seconds`` is how long it took.

    All that a transaction adds is written at its end, in one statement.
    """
    entry = {
        "uuid": new_uuid(),
        "node_id": node_id,
        "created_at": at,
        "severity": severity,
        "event_type": event_type,
        "event": readable(event),
        "conductor": conductor,
        "user": user,
        "project": project,
        "state": state,
        "target_provision_state": target,
        "duration_seconds": round(max(0.0, seconds), 3),
    }
    session.info.setdefault(_ADDED, []).append(entry)


@listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    if added := session.info.pop(_ADDED, None):
        direct.insert_all(session, _HISTORY, added)


def too_long(session: Session, kept: int, limit: int) -> list[int]:
    """Some nodes with more than ``kept`` entries. Reads the index only."""
    query = (
        select(HistoryEntry.node_id)
        .group_by(HistoryEntry.node_id)
        .having(func.count() > kept)
        .limit(limit)
    )
    return list(session.scalars(query))


def cut(session: Session, node_id: int, kept: int) -> None:
    """Forget all but the newest ``kept`` entries of a node."""
    newest = (
        select(HistoryEntry.id)
        .where(HistoryEntry.node_id == node_id)
        .order_by(HistoryEntry.id.desc())
    )
    oldest_kept = newest.offset(kept - 1).limit(1).scalar_subquery() if kept else None
    query = delete(HistoryEntry).where(HistoryEntry.node_id == node_id)
    if oldest_kept is not None:
        query = query.where(HistoryEntry.id < oldest_kept)
    session.execute(query.execution_options(synchronize_session=False))
