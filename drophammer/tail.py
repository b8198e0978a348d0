"""Up to which id the events are complete: nothing is going to appear at or below it.

Ids are given out before a transaction commits. On a server one with a lower id may become
visible after one with a higher id, and who reads "all behind the last one I saw" misses it.
Ids that are missing (a deleted node takes its events along, a transaction rolls back) look
just the same at first. So whoever follows the events reads up to here, and no further.

On sqlite there is one writer at a time: what is visible is complete.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from drophammer import engines
from drophammer.model import Event
from drophammer.store import Store

# Between taking an id and being known as a transaction that is under way, a statement spends
# microseconds. After this long it is known.
UNSEEN_SECONDS = 1.0
# Longer than that no transaction of ours can be under way: the server ends it.
LONGEST_SECONDS = 2.0 * (engines.IDLE_SECONDS + engines.STATEMENT_SECONDS)
# How far below the newest one a beginner looks for missing ids.
WINDOW = 1000
# After this long without a question it is cheaper to begin anew.
FORGET_SECONDS = 60.0
_MARIADB = ("mysql", "mariadb")


@dataclass
class _Mark:
    """Ids were missing below ``top`` at a moment.

    ``token`` is the first transaction, as PostgreSQL counts them, that surely took none.
    """

    top: int
    at: float
    token: int | None = None


class Tail:
    """Follows the end of the table of events. Safe from any thread."""

    def __init__(self, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._settled = 0
        self._asked: float | None = None
        self._mark: _Mark | None = None

    def newest(self) -> int:
        """The highest id that is visible; 0 when there is none."""
        with self._store.ask() as connection:
            return int(connection.execute(select(func.max(Event.id))).scalar_one() or 0)

    def settled(self) -> int:
        """The id up to which the events are complete. It never becomes less."""
        with self._lock, self._store.ask() as connection:
            now = self._monotonic()
            if self._asked is None or now - self._asked > FORGET_SECONDS:
                top = connection.execute(select(func.max(Event.id))).scalar_one() or 0
                self._settled, self._mark = max(self._settled, top - WINDOW), None
            self._asked = now
            self._look(connection, now)
            return self._settled

    def _look(self, connection: Connection, now: float) -> None:
        top, count = connection.execute(
            select(func.max(Event.id), func.count()).where(Event.id > self._settled)
        ).one()
        if top is None:
            self._mark = None
            return
        if count == top - self._settled or connection.dialect.name == "sqlite":
            self._settled, self._mark = top, None
            return
        self._settled = _unbroken(connection, self._settled)
        if self._mark is None:
            self._mark = _Mark(top, now)
        elif self._over(connection, self._mark, now - self._mark.at):
            self._settled, self._mark = max(self._settled, self._mark.top), None

    def _over(self, connection: Connection, mark: _Mark, passed: float) -> bool:
        """Whether all that was under way when the mark was made has ended since."""
        if passed >= LONGEST_SECONDS:
            return True
        if passed < UNSEEN_SECONDS:
            return False
        if connection.dialect.name in _MARIADB:
            return _none_locked(connection, self._settled, mark.top)
        lowest, following = _snapshot(connection)
        if mark.token is None:
            mark.token = following
        return lowest >= mark.token


def _unbroken(connection: Connection, settled: int) -> int:
    """The last id before the first one that is missing."""
    query = select(Event.id).where(Event.id > settled).order_by(Event.id).limit(WINDOW)
    for found in connection.scalars(query):
        if found != settled + 1:
            break
        settled = found
    return settled


def _snapshot(connection: Connection) -> tuple[int, int]:
    """PostgreSQL: the first transaction that has not ended, and the first that has not begun."""
    lowest, following = connection.exec_driver_sql(
        "SELECT pg_snapshot_xmin(now.s)::text, pg_snapshot_xmax(now.s)::text "
        "FROM (SELECT pg_current_snapshot() AS s) AS now"
    ).one()
    return int(lowest), int(following)


def _none_locked(connection: Connection, above: int, top: int) -> bool:
    """MariaDB: a row that is not committed yet is locked by who writes it."""
    rows = select(Event.id).where(Event.id > above, Event.id <= top)
    try:
        connection.execute(rows.with_for_update(read=True, nowait=True)).all()
    except DBAPIError:
        return False
    return True
