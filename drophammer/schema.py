"""The schema of a database: bringing it to this version's, and refusing a newer one.

Only one process at a time does that, the others wait for it. What is killed half-way is run
again: sqlite and PostgreSQL have undone it by then, and on MariaDB, where each change of
the schema stands by itself, what is there already is passed over (``migrations/env.py``).
"""

from __future__ import annotations

import pathlib

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from drophammer import engines
from drophammer.errors import Invalid, Unavailable

MIGRATIONS = pathlib.Path(__file__).with_name("migrations")
# Of all who use one server; any number that nobody else takes.
_PG_LOCK = 0x64726F70
_LOCK_SECONDS = 600


def migrate(url: str) -> bool:
    """Bring the schema to this version's. False when it was so already.

    Raises Invalid when it is of a version that this one does not know.
    """
    engine = engines.engine(url, migrating=True)
    config = _config()
    try:
        with engine.execution_options(drophammer_begin="BEGIN IMMEDIATE").connect() as connection:
            _lock(connection)
            before = _found(connection)
            _check(before, config)
            _collate(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
            return before != _found(connection)
    finally:
        engine.dispose()


def versions(connection: Connection) -> tuple[str | None, str]:
    """Which version the schema has, None for none, and which one this code brings it to."""
    return _found(connection), str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _found(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _check(found: str | None, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise Invalid(
            f"The database has schema {found}, which is newer than this version of Drophammer "
            f"({max(known)}): run the version that made it; there is no way back but a backup."
        )


def _lock(connection: Connection) -> None:
    """Keep other processes from changing the schema until this connection is closed.

    On sqlite a transaction that writes does so.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PG_LOCK})")
    if connection.dialect.name != "mariadb":
        return
    lock = f"GET_LOCK(concat('drophammer.', database()), {_LOCK_SECONDS})"
    if connection.exec_driver_sql(f"SELECT {lock}").scalar() != 1:
        raise Unavailable(
            f"Another process has been changing the schema for {_LOCK_SECONDS} s; try again when "
            "it has ended."
        )


def _collate(connection: Connection) -> None:
    """Names that differ are different, whatever the server thinks of accents and case."""
    if connection.dialect.name != "mariadb":
        return
    name = connection.exec_driver_sql("SELECT database()").scalar_one()
    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
    connection.exec_driver_sql(
        f"ALTER DATABASE {quoted} CHARACTER SET utf8mb4 COLLATE {engines.COLLATION}"
    )
