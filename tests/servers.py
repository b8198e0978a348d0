"""Databases for tests on a server: as many as there are tests, made in milliseconds.

PostgreSQL copies a template by itself. MariaDB cannot, and takes a second to make the
tables; there a few databases are used again and again, emptied and filled with the rows of
the template.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from drophammer.model import Base
from drophammer.store import Store

_TABLES = [table.name for table in Base.metadata.sorted_tables]


class Server:
    """One server, where we may make databases. Those of a test are named by its files."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._admin: Engine = create_engine(
            _plain(self._url), isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        self._made: dict[str, None] = {}

    def url_of(self, path: Path) -> str:
        """The URL of the database that stands for a file."""
        return self._url.set(database=self._named(path)).render_as_string(hide_password=False)

    def make(self, path: Path) -> None:
        """An empty database."""
        with self._admin.connect() as admin:
            self._note(path)
            admin.exec_driver_sql(f"CREATE DATABASE {self._named(path)}")

    def copy(self, template: Path, path: Path) -> None:
        """A database like another one, which nobody has open."""
        raise NotImplementedError

    def drop(self, names: list[str]) -> None:
        """Remove databases, whoever has them open."""
        raise NotImplementedError

    def altered(self, path: Path) -> None:
        """The tables of a database are not what they were."""

    def made(self) -> list[str]:
        """The databases that were made and are there."""
        return list(self._made)

    def _named(self, path: Path) -> str:
        return "t_" + hashlib.sha256(str(path).encode()).hexdigest()[:20]

    def _note(self, path: Path) -> None:
        self._made[self._named(path)] = None


class PostgreSQL(Server):
    """It copies files."""

    def copy(self, template: Path, path: Path) -> None:
        with self._admin.connect() as admin:
            self._note(path)
            admin.exec_driver_sql(
                f"CREATE DATABASE {self._named(path)} TEMPLATE {self._named(template)} "
                "STRATEGY FILE_COPY"
            )

    def drop(self, names: list[str]) -> None:
        with self._admin.connect() as admin:
            for name in names:
                admin.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                self._made.pop(name, None)


class MariaDB(Server):
    """``_stock``: databases that are migrated and that nobody uses."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._stock: list[str] = []
        self._altered: set[str] = set()
        self._name_of: dict[str, str] = {}
        self._count = 0

    def copy(self, template: Path, path: Path) -> None:
        if not self._stock:
            self._count += 1
            name = f"s_{os.getpid()}_{self._count}"
            with self._admin.connect() as admin:
                admin.exec_driver_sql(f"CREATE DATABASE {name}")
            store = Store(self._url.set(database=name).render_as_string(hide_password=False))
            store.migrate()
            store.close()
            self._stock.append(name)
        name = self._name_of[super()._named(path)] = self._stock.pop()
        self._note(path)
        with self._admin.connect() as admin:
            self._fill(admin, self._named(template), name)

    def drop(self, names: list[str]) -> None:
        with self._admin.connect() as admin:
            for name in names:
                query = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
                for thread in admin.exec_driver_sql(query).scalars().all():
                    with contextlib.suppress(OperationalError):  # It has ended by itself.
                        admin.exec_driver_sql(f"KILL {thread}")
                self._made.pop(name, None)
                if name.startswith("s_") and name not in self._altered:
                    self._stock.append(name)
                else:
                    admin.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")

    def altered(self, path: Path) -> None:
        self._altered.add(self._named(path))

    def _named(self, path: Path) -> str:
        name = super()._named(path)
        return self._name_of.get(name, name)

    @staticmethod
    def _fill(admin: Connection, template: str, name: str) -> None:
        used = set(
            admin.exec_driver_sql(
                "SELECT table_name FROM information_schema.tables "
                f"WHERE table_schema = '{name}' AND auto_increment > 1"
            ).scalars()
        )
        admin.exec_driver_sql("SET foreign_key_checks = 0")
        for table in _TABLES:
            admin.exec_driver_sql(f"DELETE FROM {name}.{table}")
            if table in used:
                admin.exec_driver_sql(f"ALTER TABLE {name}.{table} AUTO_INCREMENT = 1")
            admin.exec_driver_sql(f"INSERT INTO {name}.{table} SELECT * FROM {template}.{table}")
        admin.exec_driver_sql("SET foreign_key_checks = 1")


def server(url: str | None) -> Server | None:
    """The server of a URL; None for none."""
    if not url:
        return None
    kinds: dict[str, type[Server]] = {
        "postgresql": PostgreSQL,
        "mysql": MariaDB,
        "mariadb": MariaDB,
    }
    return kinds[make_url(url).get_backend_name()](url)


def _plain(url: URL) -> URL:
    kinds = {"mysql": "mariadb+pymysql", "mariadb": "mariadb+pymysql"}
    return url.set(drivername=kinds.get(url.get_backend_name(), url.drivername))
