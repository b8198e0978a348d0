"""Queries on events: what happened, told by every role, read in order."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, event, select
from sqlalchemy.orm import Session

from drophammer import direct
from drophammer.model import Event, Node
from drophammer.store import Reader
from drophammer.text import readable

_TOLD = "events to be written"
_WRITTEN = "events were written"
# Not the class: statements on it go through the ORM, which is twice as slow.
_EVENTS: Any = Event.__table__
_watchers: set[Callable[[], None]] = set()


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
    row = {"node_id": node_id, "at": at, "source": source, "kind": kind}
    told = {**row, "message": readable(message), "data": data or {}}
    session.info.setdefault(_TOLD, []).append(told)


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    told = session.info.pop(_TOLD, None)
    if told:
        direct.insert_all(session, _EVENTS, told)
        session.info[_WRITTEN] = True


@event.listens_for(Session, "after_commit")
def _tell_watchers(session: Session) -> None:
    if session.info.pop(_WRITTEN, False):
        for watcher in tuple(_watchers):
            watcher()


def watch(watcher: Callable[[], None]) -> None:
    """Call ``watcher`` whenever this process has committed events, until ``unwatch``.

    It is called in the middle of other work and must not block, raise or take long.
    """
    _watchers.add(watcher)


def unwatch(watcher: Callable[[], None]) -> None:
    """Call it no more."""
    _watchers.discard(watcher)


@dataclass(frozen=True)
class Wanted:
    """Which events somebody is interested in; what is empty lets all pass."""

    node_id: int | None = None
    kinds: frozenset[str] = frozenset()
    source: str | None = None

    def takes(self, node_id: int | None, kind: str, source: str) -> bool:
        """Whether such an event is one of them."""
        return (
            (self.node_id is None or node_id == self.node_id)
            and (not self.kinds or kind in self.kinds)
            and (self.source is None or source == self.source)
        )


EVERYTHING = Wanted()
_SHOWN = (
    Event.id,
    Event.node_id,
    Event.at,
    Event.source,
    Event.kind,
    Event.message,
    Event.data,
    Node.uuid.label("node"),
    Node.name.label("node_name"),
)


def of_all(reader: Reader, *, after: int, until: int, wanted: Wanted, limit: int) -> Sequence[Any]:
    """Events with ids above ``after`` and up to ``until``, oldest first, with their nodes."""
    query = (
        select(*_SHOWN)
        .outerjoin(Node, Node.id == Event.node_id)
        .where(Event.id > after, Event.id <= until)
    )
    if wanted.node_id is not None:
        query = query.where(Event.node_id == wanted.node_id)
    if wanted.kinds:
        query = query.where(Event.kind.in_(sorted(wanted.kinds)))
    if wanted.source is not None:
        query = query.where(Event.source == wanted.source)
    return reader.execute(query.order_by(Event.id).limit(limit)).all()


def of_node(session: Session, node_id: int, after: int, limit: int) -> Sequence[Event]:
    """Events of a node with an id above ``after``, oldest first."""
    return session.scalars(
        select(Event)
        .where(Event.node_id == node_id, Event.id > after)
        .order_by(Event.id)
        .limit(limit)
    ).all()


def oldest(reader: Reader, before: datetime.datetime, limit: int) -> Sequence[int]:
    """Ids of the oldest events that happened before a moment, at most ``limit``.

    Ids rise with time: the first one that is younger ends the search, and the table needs
    no index by time.
    """
    query = select(Event.id, Event.at).order_by(Event.id).limit(limit)
    found = []
    for row in reader.execute(query):
        if row.at >= before:
            break
        found.append(row.id)
    return found


def forget(session: Session, up_to: int) -> None:
    """Delete the events with ids up to ``up_to``."""
    session.execute(
        delete(Event).where(Event.id <= up_to).execution_options(synchronize_session=False)
    )
