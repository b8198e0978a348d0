"""Connections for single questions: rows as they are, no transaction, hardly a cost.

On sqlite a thread keeps its connection: to take one out of the pool and give it back
costs as much as most questions. A server may hang up, so there the pool is asked, which
looks first whether the connection still stands.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

# MariaDB would have to be told so, and then that it is over, in statements of their own.
_ALONE: dict[str, dict[str, Any]] = {
    "sqlite": {"drophammer_begin": None},
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
    "mariadb": {},
}


class Asker:
    """Hands out connections on which every statement stands alone. Safe between threads."""

    def __init__(self, engine: Engine) -> None:
        self._keeps = engine.dialect.name == "sqlite"
        self._engine = engine.execution_options(**_ALONE[engine.dialect.name])
        self._own = threading.local()
        self._kept: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    @contextmanager
    def ask(self) -> Iterator[Connection]:
        """A connection for this thread. All rows must have been read when the block ends."""
        if not self._keeps:
            with self._engine.connect() as connection:
                yield connection
            return
        kept = self._mine()
        try:
            yield kept
        except SQLAlchemyError:
            kept.close()
            raise

    def close(self) -> None:
        """Give back all connections."""
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
