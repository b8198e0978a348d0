"""The schema of a database: bringing it to this version's, and refusing one that is too new.

A revision tells in its name which code it leaves fit to run: ``0007_since_0005`` only adds
to what 0005 had, so that code of 0005 works beside code of 0007 (docs/upgrading.md). One
without ``_since_`` is for its own code and later.

Only one process at a time does that, the others wait for it. What is killed half-way is run
again: sqlite and PostgreSQL have undone it by then, and on MariaDB, where each change of
the schema stands by itself, what is there already is passed over (``migrations/env.py``).
"""

from __future__ import annotations

import logging
import pathlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from drophammer import engines, outage
from drophammer.errors import Invalid, Unavailable

LOG = logging.getLogger(__name__)
MIGRATIONS = pathlib.Path(__file__).with_name("migrations")
# Of all who use one server; any number that nobody else takes.
_PG_LOCK = 0x64726F70
_LOCK_SECONDS = 600
_NAME = re.compile(r"(\d{4})(?:_since_(\d{4}))?")
# Read as text: most starts have nothing to change, and Alembic takes 8 MB as long as one runs.
_REVISION = re.compile(r'^revision = "(\w+)"\ndown_revision = (?:None|"(\w+)")$', re.MULTILINE)


def migrate(url: str) -> bool:
    """Bring the schema to this version's. False when there was nothing to do.

    Raises Invalid when it is of a version that this one cannot work with.
    """
    engine = engines.engine(url, migrating=True)
    known = _revisions()
    try:
        with connected(engine) as connection:
            if _serves(_found(connection), known):
                return False
        with connected(engine.execution_options(drophammer_begin="BEGIN IMMEDIATE")) as connection:
            _lock(connection)
            if _serves(_found(connection), known):
                return False  # Another process has done it while we waited.
            _collate(connection)
            _upgrade(connection)
            connection.commit()
            return True
    finally:
        engine.dispose()


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection. What goes wrong with the database is a domain error with its address."""
    where = engine.url.render_as_string()
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        known = outage.told(error)
        cause = getattr(error, "orig", None) or error
        raise Unavailable(f"{where}: {known.message if known else 'failed.'} ({cause})") from error


def versions(connection: Connection) -> tuple[str | None, str]:
    """Which version the schema has, None for none, and which one this code brings it to."""
    return _found(connection), _head(_revisions())


def serves(found: str | None, ours: str) -> bool:
    """Whether code of schema ``ours`` works with a database of schema ``found``."""
    if found is None or found == ours:
        return found is not None
    newer, here = _NAME.fullmatch(found), _NAME.fullmatch(ours)
    if newer is None or here is None or newer[2] is None:
        return False
    return newer[2] <= here[1] < newer[1]


def _revisions() -> dict[str, str | None]:
    """This version's revisions, each with the one that it follows."""
    texts = (path.read_text() for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return {made[1]: made[2] for text in texts if (made := _REVISION.search(text))}


def _head(known: dict[str, str | None]) -> str:
    """The last one."""
    [head] = known.keys() - set(known.values())
    return head


def _found(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _serves(found: str | None, known: dict[str, str | None]) -> bool:
    """Whether there is nothing to do. Raises Invalid when nothing can be done."""
    ours = _head(known)
    if found == ours:
        return True
    if found is None or found in known:
        return False
    if not serves(found, ours):
        raise Invalid(
            f"The database has schema {found}, which is newer than this version of Drophammer "
            f"({ours}): run the version that made it; there is no way back but a backup."
        )
    LOG.info("the database has schema %s, which this version (%s) works with", found, ours)
    return True


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    """Keep other processes from changing the schema until this connection is closed.

    On sqlite a transaction that writes does so.
    """
    kind = connection.dialect.name
    if kind == "sqlite":
        return
    if kind == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        at_once = f"SELECT pg_try_advisory_xact_lock({_PG_LOCK})"
        patient = f"SELECT pg_advisory_xact_lock({_PG_LOCK}) IS NOT NULL"
    else:
        lock = "SELECT GET_LOCK(concat('drophammer.', database()), {})"
        at_once, patient = lock.format(0), lock.format(_LOCK_SECONDS)
    if connection.exec_driver_sql(at_once).scalar():
        return
    LOG.warning("another process is changing the schema of this database; waiting for it")
    if not connection.exec_driver_sql(patient).scalar():
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
