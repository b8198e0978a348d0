"""Connections for single questions: rows as they are, no transaction, hardly a cost.

To take a connection out of the pool and give it back costs as much as most questions. On
sqlite a thread keeps its own. PostgreSQL may hang up: of its connections a few are kept for
whoever asks next, within the time that one is taken to stand; then the pool has it, which
looks. MariaDB's go back each time: to end there what a question began is a question too.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from drophammer.engines import FRESH_SECONDS, USED

# Of PostgreSQL's, for more questions than these at a time the pool is asked.
SPARE = 8


def asker(engine: Engine) -> Asker:
    """The way for this kind of database."""
    return {"sqlite": _OwnAsker, "postgresql": _SpareAsker}.get(engine.dialect.name, Asker)(engine)


class Asker:
    """Hands out connections on which every statement stands alone. Safe between threads.

    This one takes them out of the pool.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        """A connection for this thread. All rows must have been read when the block ends."""
        with self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Give back all connections."""


class _OwnAsker(Asker):
    """Each thread has its own."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.execution_options(drophammer_begin=None))
        self._own = threading.local()
        self._kept: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        kept = self._mine()
        try:
            yield kept
        except SQLAlchemyError:
            kept.close()
            raise

    def close(self) -> None:
        with self._lock:
            for connection in list(self._kept):
                connection.close()

    def _mine(self) -> Connection:
        kept: Connection | None = getattr(self._own, "connection", None)
        if kept is None or kept.closed:
            kept = self._own.connection = self._engine.connect()
            with self._lock:
                self._kept.add(kept)
        return kept


class _SpareAsker(Asker):
    """A few are kept for whoever comes next, while they are taken to stand."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.execution_options(isolation_level="AUTOCOMMIT"))
        # With the moment of its last use; the last one used is at the end.
        self._spare: deque[tuple[Connection, float]] = deque()
        self._closed = self._doubtful = False
        event.listen(engine, "invalidate", self._doubt)

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        connection = self._fresh() or self._engine.connect()
        at_first = connection.connection.dbapi_connection
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.invalidated or connection.connection.dbapi_connection is not at_first:
            # It hung up, and whoever asked has caught that himself.
            connection.close()
            return
        self._spare.append((connection, time.monotonic()))
        if len(self._spare) > SPARE or self._closed:
            self._give_back(0 if self._closed else SPARE)

    def close(self) -> None:
        self._closed = True
        self._give_back(0)

    def _doubt(self, *_: object) -> None:
        """One that was taken to stand did not, whoever had it: those here may not either."""
        self._doubtful = True

    def _fresh(self) -> Connection | None:
        """One that was used just now. Others are given back: the pool looks whether they stand."""
        if self._doubtful:
            self._doubtful = False
            self._give_back(0)
        try:
            connection, used = self._spare.pop()
        except IndexError:
            return None
        if time.monotonic() - used < FRESH_SECONDS:
            return connection
        self._spare.append((connection, used))
        self._give_back(0)
        return None

    def _give_back(self, but: int) -> None:
        """All but so many, those first that have not been used for longest."""
        while len(self._spare) > but:
            try:
                connection, used = self._spare.popleft()
            except IndexError:
                return
            record = connection.connection.info
            connection.close()
            # Since then nobody has seen it stand.
            record[USED] = used
