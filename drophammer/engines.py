"""The engine behind a store: how each kind of database is spoken to, and for how long.

All are read committed, sqlite aside, which has one writer at a time: what decides here is
always a condition in the statement that writes (a fence, a state, "if it is free"), and it
must see what others have committed. At repeatable read, MariaDB would compare what is
written with one state of the table and what is read with another, and PostgreSQL would
refuse the write where we would rather be told that the condition does not hold.

No limit is an option: a question takes milliseconds. They say how long somebody may be in
the way of others (``LOCK_SECONDS``, ``IDLE_SECONDS``: a process that was stopped in the
middle of a transaction loses it) and after what silence a server counts as being away.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError

from drophammer.errors import Invalid

SQLITE_BUSY_SECONDS = 30
CONNECT_SECONDS = 3
LOCK_SECONDS = 5
IDLE_SECONDS = 5
STATEMENT_SECONDS = 6
# Of the server, beyond that: it ends each statement by itself.
SILENCE_SECONDS = 2
PING_SECONDS = 2
# A change of the schema may rewrite a table, and thinks between its statements.
MIGRATION_SECONDS, MIGRATION_IDLE_SECONDS = 3600, 60
# A transaction is short, but every worker, bus and API thread may be in one.
POOL_SIZE, POOL_OVERFLOW = 16, 112
POOL_SECONDS = 5
# On sqlite threads keep connections besides, as many as there are threads of the API.
KEPT = 32
# A connection that was used just now is taken to stand; when that was, is in its record.
FRESH_SECONDS = 1.0
USED = "used"
COLLATION = "utf8mb4_nopad_bin"

_KINDS = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mariadb", "mariadb": "mariadb"}


def engine(url: str, *, migrating: bool = False) -> Engine:
    """The engine for a URL. ``migrating``: for one connection that changes the schema.

    Raises Invalid for a database that is none of ours, or whose driver is not installed.
    """
    parsed = make_url(url)
    kind = _KINDS.get(parsed.get_backend_name())
    if kind is None:
        raise Invalid(
            f"[database] connection: there is no support for {parsed.get_backend_name()!r}; use "
            "sqlite, postgresql+psycopg or mariadb+pymysql."
        )
    if kind == "sqlite":
        return _sqlite(parsed)
    try:
        return _server(parsed, kind, migrating=migrating)
    except ImportError as error:
        raise Invalid(
            f"[database] connection: the driver for {kind} is missing ({error.name}); install "
            f"drophammer[{kind}]."
        ) from error


def _server(url: URL, kind: str, *, migrating: bool) -> Engine:
    seconds = MIGRATION_SECONDS if migrating else STATEMENT_SECONDS
    idle = MIGRATION_IDLE_SECONDS if migrating else IDLE_SECONDS
    driver: Any
    if kind == "postgresql":
        from drophammer import postgresql as driver

        url = url if "+" in url.drivername else url.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"json_deserializer": driver.loads}
    else:
        from drophammer import mariadb as driver

        # Under this name SQLAlchemy knows from the start what it is talking to.
        url = url.set(drivername="mariadb+pymysql").update_query_dict({"charset": "utf8mb4"})
        options = {"isolation_level": "READ COMMITTED", "json_deserializer": _loads}
    made = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_SECONDS,
        # The values of a statement that fails may be passwords.
        hide_parameters=True,
        connect_args=driver.arguments(seconds, idle),
        **options,
    )
    driver.prepare(made, patience=seconds + SILENCE_SECONDS)
    _look_before_use(made, driver.hurried)
    return made


def _look_before_use(made: Engine, hurried: Callable[[Any], AbstractContextManager[None]]) -> None:
    """Find out that a server has hung up before a transaction begins.

    Not with SQLAlchemy's own way, which asks each time: most questions are one statement,
    which would cost two.
    """

    @event.listens_for(made, "checkin")
    def used(connection: Any, record: Any) -> None:
        record.info[USED] = time.monotonic()

    @event.listens_for(made, "checkout")
    def look(connection: Any, record: Any, proxy: object) -> None:
        if time.monotonic() - record.info.get(USED, time.monotonic()) < FRESH_SECONDS:
            return
        try:
            with hurried(connection):
                made.dialect.do_ping(connection)
        except made.dialect.loaded_dbapi.Error as error:
            # None that is older than this moment is any better.
            raise InvalidatePoolError(str(error)) from error


def _loads(text: str) -> Any:
    # Most JSON columns of most rows are empty.
    return {} if text == "{}" else json.loads(text)


def _dumps(value: Any) -> str:
    return "{}" if value == {} else json.dumps(value)


def _sqlite(url: URL) -> Engine:
    made = create_engine(
        url,
        pool_size=POOL_SIZE + KEPT,
        max_overflow=POOL_OVERFLOW,
        hide_parameters=True,
        connect_args={"timeout": SQLITE_BUSY_SECONDS},
        json_deserializer=_loads,
        json_serializer=_dumps,
    )

    @event.listens_for(made, "do_connect")
    def make(dialect: object, record: object, arguments: list[Any], named: object) -> None:
        if url.database and url.database != ":memory:" and not url.query:
            _for_nobody_else(url.database)

    @event.listens_for(made, "connect")
    def configure(connection: Any, record: object) -> None:
        # The driver must not open transactions by itself: we say BEGIN below.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(made, "begin")
    def begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get("drophammer_begin", "BEGIN")
        if statement is not None:
            connection.exec_driver_sql(statement)

    return made


def _for_nobody_else(path: str) -> None:
    """Make the file of a new database, if it is one: passwords of controllers will be in it.

    Its log and its shared memory get the same mode from sqlite. What cannot be made is told by
    the driver, which tries next.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
