"""Databases for tests: migrated once, copied for each test, never waited for.

To migrate takes longer than most tests. So does waiting until the disk has what was
written: here nobody pulls the plug in the middle of a transaction. And half of what the
rest takes would be SQLAlchemy compiling the same statements anew for each store; here all
stores of a process share what was compiled.

``DROPHAMMER_TEST_DATABASE``, the URL of a server where we may make databases, has all of it
happen there; a path then only names a database.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, util
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from drophammer.store import Store
from tests.servers import MariaDB, Server, server

SERVER = server(os.environ.get("DROPHAMMER_TEST_DATABASE"))
only_sqlite = pytest.mark.skipif(SERVER is not None, reason="this is about sqlite itself")
# MariaDB's UPDATE cannot tell what it has written: it is asked beforehand, with the rows locked.
ASKS_FIRST = int(isinstance(SERVER, MariaDB))
only_servers = pytest.mark.skipif(SERVER is None, reason="this is about database servers")
_COMPILED: util.LRUCache[Any, Any] = util.LRUCache(1000)


class OneDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's own, but one for all stores: what was compiled is known by its dialect."""

    supports_statement_cache = True
    _made: OneDialect | None = None

    def __new__(cls, **_: Any) -> OneDialect:
        return cls._made or super().__new__(cls)

    def __init__(self, **options: Any) -> None:
        if OneDialect._made is None:
            super().__init__(**options)
            OneDialect._made = self


registry.register("sqlite.one", __name__, OneDialect.__name__)


def opened(path: Path, **options: Any) -> Store:
    """The store in a file. ``options`` are the store's."""
    if SERVER is not None:
        return _on_server(SERVER, path, **options)
    store = Store(f"sqlite+one:///{path}", **options)

    @event.listens_for(store.engine, "connect")
    def relax(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    @event.listens_for(store.engine, "engine_connect")
    def share(connection: Connection) -> None:
        connection.execution_options(compiled_cache=_COMPILED)

    return store


def _on_server(server: Server, path: Path, **options: Any) -> Store:
    """The same there. What a test makes of the tables is nothing for the next one."""
    store = Store(server.url_of(path), **options)

    @event.listens_for(store.engine, "before_cursor_execute")
    def look(connection: Connection, cursor: object, text: str, *_: object) -> None:
        if text.startswith(("ALTER", "CREATE", "DROP")):
            server.altered(path)

    return store


def made(path: Path) -> None:
    """Make a database without anything in it, not even tables."""
    if SERVER is not None:
        SERVER.make(path)


def migrated(path: Path) -> None:
    """Make an empty database of this version."""
    made(path)
    store = opened(path)
    store.migrate()
    # The last one to close it puts all of it into the one file that can be copied.
    store.close()


def copied(template: Path, path: Path, **options: Any) -> Store:
    """The store in a copy of a database that nobody has open."""
    if SERVER is not None:
        SERVER.copy(template, path)
    else:
        shutil.copyfile(template, path)
    return opened(path, **options)


def url_of(path: Path) -> str:
    """Where others find the database that ``path`` names."""
    return f"sqlite:///{path}" if SERVER is None else SERVER.url_of(path)


@contextmanager
def cleared() -> Iterator[None]:
    """Around a test: the databases that it made are removed after it."""
    if SERVER is None:
        yield  # Files go with their folder.
        return
    before = set(SERVER.made())
    yield
    SERVER.drop([name for name in SERVER.made() if name not in before])
