"""A connection to PostgreSQL that gives up on a server that says nothing any more.

The server ends statements that take too long, but one that is stopped, or whose host has
gone, ends nothing; the driver would wait for it for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from sqlalchemy import Engine, event

from drophammer import engines

T = TypeVar("T")
INTERVAL = 0.5


class PatientConnection(psycopg.Connection[Any]):
    """Psycopg's, with an end to its waiting: ``patience`` seconds."""

    patience: float = engines.STATEMENT_SECONDS + engines.SILENCE_SECONDS
    _again: psycopg.Cursor[Any] | None = None

    def cursor_again(self) -> psycopg.Cursor[Any]:
        """A cursor for one short statement, the same each time. What it has found must be read.

        To make one costs up to a third of what a short statement does.
        """
        if self._again is None or self._again.closed:
            self._again = self.cursor()
        return self._again

    def wait(self, gen: PQGen[T], interval: float = INTERVAL, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except errors._WaitTimeout:
            if timeout is not None:
                raise
            # What it says later would be taken for the answer to something else.
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the server has not answered for {self.patience:g} s"
            ) from None


class BriefCursor(psycopg.Cursor[Any]):
    """Psycopg's, which tells of its columns no more than SQLAlchemy asks: name and type.

    It would look up all that is known of each type, which takes as long as the question
    where a whole node is the answer.
    """

    @property
    def description(self) -> Any:
        """As PEP 249 has it."""
        told = self.pgresult
        if told is None or not told.nfields:
            return super().description
        return [
            ((told.fname(at) or b"").decode(), told.ftype(at), None, None, None, None, None)
            for at in range(told.nfields)
        ]


def loads(text: bytes) -> Any:
    """What a JSON column holds. Most of most rows are empty."""
    return {} if text == b"{}" else json.loads(text)


def arguments(seconds: int, idle: int) -> dict[str, Any]:
    """What to connect with: how long a statement, and a pause in a transaction, may take."""
    settings = {
        "default_transaction_isolation": "read\\ committed",
        "timezone": "UTC",
        "lock_timeout": f"{engines.LOCK_SECONDS}s",
        "statement_timeout": f"{seconds}s",
        "idle_in_transaction_session_timeout": f"{idle}s",
    }
    return {
        "connect_timeout": engines.CONNECT_SECONDS,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }


def prepare(engine: Engine, patience: float) -> None:
    """Let the engine make connections of this kind."""

    @event.listens_for(engine, "do_connect")
    def connect(dialect: object, record: object, positional: Any, named: Any) -> PatientConnection:
        made = PatientConnection.connect(*positional, **named)
        made.patience = patience
        made.cursor_factory = BriefCursor
        return made


@contextmanager
def hurried(connection: PatientConnection) -> Iterator[None]:
    """Around a question that takes no time: who does not answer that is not there."""
    patience, connection.patience = connection.patience, engines.PING_SECONDS
    try:
        yield
    finally:
        connection.patience = patience
