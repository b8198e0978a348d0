"""Moving everything from one database to another one, of whichever kinds they are.

The source is read as it is at one moment; the target gets each table in one transaction, in
the order in which tables refer to each other, and is counted afterwards. Leases, work under
way and passwords move like everything else: what was going on goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    JSON,
    BindParameter,
    Column,
    Connection,
    Engine,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
)

from drophammer import engines, schema
from drophammer.errors import Invalid, Unavailable
from drophammer.model import Base
from drophammer.schema import connected

BATCH = 500


def copy(source: str, target: str, tell: Callable[[str], None]) -> int:
    """Copy all rows; returns how many. ``tell`` gets a line for each table.

    Raises Invalid when the source is not of this version or the target is not empty.
    """
    left, right = engines.engine(source, migrating=True), engines.engine(target, migrating=True)
    if left.dialect.name != "sqlite":
        left = left.execution_options(isolation_level="REPEATABLE READ")
    try:
        with connected(left) as reading:
            _check_source(reading)
            schema.migrate(target)
            with connected(right) as writing:
                _check_empty(writing)
            return _copied(reading, right, tell)
    finally:
        left.dispose()
        right.dispose()


def _copied(reading: Connection, right: Engine, tell: Callable[[str], None]) -> int:
    total = 0
    for table in Base.metadata.sorted_tables:
        with connected(right) as writing:
            expected = _count(reading, table)
            _fill(reading, writing, table)
            arrived = _count(writing, table)
            if arrived != expected:
                raise Unavailable(
                    f"Of the {expected} rows of {table.name}, {arrived} have arrived; nothing was "
                    "changed in the source. Empty the target and copy again."
                )
            _continue_ids(writing, table, _given_out(reading, table))
            writing.commit()
        tell(f"  {table.name:<20}{expected}")
        total += expected
    return total


def _check_source(connection: Connection) -> None:
    found, ours = schema.versions(connection)
    if found != ours:
        raise Invalid(
            f"The source has schema {found or 'none'} and this version works with {ours}; run "
            "`drophammer db upgrade` on it first."
        )


def _check_empty(connection: Connection) -> None:
    for table in Base.metadata.sorted_tables:
        if connection.execute(select(1).select_from(table).limit(1)).first() is not None:
            raise Invalid(
                f"The target is not empty: there are rows in {table.name}. Copy into a new "
                "database; nothing has been changed."
            )


def _fill(reading: Connection, writing: Connection, table: Table) -> None:
    # Values, not texts: each database has a form of its own for times and JSON.
    found = reading.execute(
        select(table).order_by(*table.primary_key), execution_options={"yield_per": BATCH}
    )
    query = insert(table).values({name: _bound(column) for name, column in table.columns.items()})
    for rows in found.mappings().partitions():
        writing.execute(query, [{f"v_{name}": row[name] for name in row} for row in rows])


def _bound(column: Column[Any]) -> BindParameter[Any]:
    # Nothing stays nothing: by itself it would be written as JSON's null.
    kind = JSON(none_as_null=True) if isinstance(column.type, JSON) else column.type
    return bindparam(f"v_{column.name}", type_=kind)


def _given_out(connection: Connection, table: Table) -> int:
    """The highest id that was ever given out, as far as the database knows."""
    if "id" not in table.columns:
        return 0
    asked = {
        "sqlite": f"SELECT seq FROM sqlite_sequence WHERE name = '{table.name}'",
        "postgresql": f"SELECT last_value FROM {table.name}_id_seq WHERE is_called",
        "mariadb": "SELECT auto_increment - 1 FROM information_schema.tables "
        f"WHERE table_schema = database() AND table_name = '{table.name}'",
    }
    known = connection.execute(text(asked[connection.dialect.name])).scalar() or 0
    highest = connection.execute(select(func.max(table.columns["id"]))).scalar() or 0
    return max(int(known), int(highest))


def _continue_ids(connection: Connection, table: Table, given_out: int) -> None:
    """Let the next id be higher than all that were given out: some are remembered elsewhere."""
    if not given_out:
        return
    kind, name = connection.dialect.name, table.name
    if kind == "postgresql":
        connection.execute(text(f"SELECT setval('{name}_id_seq', {given_out})"))
    elif kind == "mariadb":
        connection.execute(text(f"ALTER TABLE {name} AUTO_INCREMENT = {given_out + 1}"))
    elif table.dialect_options["sqlite"]["autoincrement"]:
        connection.execute(text(f"DELETE FROM sqlite_sequence WHERE name = '{name}'"))
        connection.execute(text(f"INSERT INTO sqlite_sequence VALUES ('{name}', {given_out})"))


def _count(connection: Connection, table: Table) -> Any:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
