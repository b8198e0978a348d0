"""A connection to MariaDB: its settings, and how long it waits for a server that says nothing.

PyMySQL has one time for that, and no public way to change it on a connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from drophammer import engines


def arguments(seconds: int, idle: int) -> dict[str, Any]:
    """What to connect with: how long a statement, and a pause in a transaction, may take."""
    settings = {
        # What does not fit is refused, never cut off.
        "sql_mode": "'TRADITIONAL'",
        "time_zone": "'+00:00'",
        "innodb_lock_wait_timeout": engines.LOCK_SECONDS,
        "idle_transaction_timeout": idle,
        "max_statement_time": seconds,
    }
    return {
        "connect_timeout": engines.CONNECT_SECONDS,
        # Until it has been made: see ``prepare``.
        "read_timeout": engines.CONNECT_SECONDS,
        "write_timeout": seconds + engines.SILENCE_SECONDS,
        "init_command": "SET " + ", ".join(f"{name}={value}" for name, value in settings.items()),
    }


def prepare(engine: Engine, patience: float) -> None:
    """Let the engine's connections wait so long for an answer."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        connection._read_timeout = patience


@contextmanager
def hurried(connection: Any) -> Iterator[None]:
    """Around a question that takes no time: who does not answer that is not there."""
    patience, connection._read_timeout = connection._read_timeout, engines.PING_SECONDS
    try:
        yield
    finally:
        connection._read_timeout = patience
