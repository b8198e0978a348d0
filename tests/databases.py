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
import weakref
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


class EqualDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's own; those of all stores are equal: what was compiled is known by its dialect.

    They are not the same object, because that holds what listens to an engine: each store
    would do what all stores before it were to do when they connect.
    """

    supports_statement_cache = True
    # How values of each type are read and written, worked out once for all of them.
    _type_memos = weakref.WeakKeyDictionary()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EqualDialect)

    def __hash__(self) -> int:
        return hash(EqualDialect)


registry.register("sqlite.equal", __name__, EqualDialect.__name__)


def opened(path: Path, **options: Any) -> Store:
    """The store in a file. ``options`` are the store's."""
    if SERVER is not None:
        return _on_server(SERVER, path, **options)
    store = Store(f"sqlite+equal:///{path}", **options)

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
