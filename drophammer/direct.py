"""Statements straight to the database's driver, for the few that are run all the time.

SQLAlchemy writes the statement, once, and says how values are written and read; it is left
out where the statement is run. Its code there is half of what a transaction of five
statements costs the process that runs it, and a third of a GET of one node. Failures are
told as SQLAlchemy tells them, and who listens to its engine hears of these statements too.

All statements must be ones that are kept and used again, with values for all that is bound.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, Connection, Insert, Table, bindparam, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

Row = dict[str, Any]
# As many as there are ways to ask for some columns of a node, and to change some.
STATEMENTS = 2048
# As many rows as are written out in one statement.
TOGETHER = 8


@dataclass(frozen=True)
class _Ready:
    """A statement as the driver takes it: its text, its parameters, and what its rows become."""

    text: str
    # What is always bound to the same, as the driver takes it.
    constants: Mapping[str, Any]
    writers: tuple[tuple[str, Callable[[Any], Any]], ...]
    # For a driver that takes parameters by their places.
    order: tuple[str, ...] | None
    names: tuple[str, ...]
    readers: tuple[tuple[int, Callable[[Any], Any]], ...]

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The parameters for some values."""
        told = {**self.constants, **values}
        for name, write in self.writers:
            told[name] = write(told[name])
        return told if self.order is None else tuple(told[name] for name in self.order)

    def mapping(self, row: Sequence[Any]) -> Row:
        values = list(row)
        for place, read in self.readers:
            if values[place] is not None:
                values[place] = read(values[place])
        return dict(zip(self.names, values, strict=True))


def rows(
    reader: Session | Connection, query: ClauseElement, values: Mapping[str, Any]
) -> list[Row]:
    """All rows that a query finds, or a statement with RETURNING tells, by their columns' names.

    Raises SQLAlchemy's errors.
    """
    connection = _connection(reader)
    ready = _ready(query, connection.dialect, tuple(values))
    _, found = _run(connection, ready, values)
    return [ready.mapping(row) for row in found]


def changed(
    writer: Session | Connection, statement: ClauseElement, values: Mapping[str, Any]
) -> int:
    """Run a statement that tells no rows; how many it has changed. Raises SQLAlchemy's errors."""
    connection = _connection(writer)
    ready = _ready(statement, connection.dialect, tuple(values))
    count, _ = _run(connection, ready, values)
    return count


def insert_all(
    writer: Session | Connection, table: Table, all_values: Sequence[Mapping[str, Any]]
) -> None:
    """Add rows, which give values to the same columns. Raises SQLAlchemy's errors.

    A few in one statement: to run one for each costs some drivers twice as much.
    """
    if any(told.keys() != all_values[0].keys() for told in all_values):
        raise ValueError(f"rows of {table.name} that give values to different columns")
    if len(all_values) > TOGETHER:
        _connection(writer).execute(insert(table), list(all_values))
        return
    values = {
        f"{name}_{place}": value
        for place, told in enumerate(all_values)
        for name, value in told.items()
    }
    if values:
        changed(writer, _inserting(table, tuple(all_values[0]), len(all_values)), values)


def _connection(of: Session | Connection) -> Connection:
    return of if isinstance(of, Connection) else of.connection()


def _run(
    connection: Connection, ready: _Ready, values: Mapping[str, Any]
) -> tuple[int, Sequence[Sequence[Any]]]:
    """How many rows the statement concerned, and those that it tells."""
    text, parameters = ready.text, ready.bound(values)
    told: Any = connection
    dialect = connection.dialect
    driver: Any = connection.connection.dbapi_connection
    cursor = getattr(driver, "cursor_again", driver.cursor)()
    for listener in told.dispatch.before_cursor_execute:
        listener(connection, cursor, text, parameters, None, False)
    try:
        dialect.do_execute(cursor, text, parameters)
        rows = cursor.fetchall() if ready.names else ()
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, dialect.loaded_dbapi.Error):
            cursor.close()
            raise  # A value that cannot be written is the affair of whoever gave it.
        # It knows what a failure means for the connection, the pool and the transaction.
        told._handle_dbapi_exception(error, text, None, cursor, None)
    for listener in told.dispatch.after_cursor_execute:
        listener(connection, cursor, text, parameters, None, False)
    return cursor.rowcount, rows


@functools.lru_cache(STATEMENTS)
def _inserting(table: Table, names: tuple[str, ...], count: int) -> Insert:
    columns = table.columns
    return insert(table).values(
        [
            {name: bindparam(f"{name}_{place}", type_=columns[name].type) for name in names}
            for place in range(count)
        ]
    )


@functools.lru_cache(STATEMENTS)
def _ready(statement: ClauseElement, dialect: Dialect, names: tuple[str, ...]) -> _Ready:
    compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
    if compiled.insert_prefetch or compiled.update_prefetch or compiled.post_compile_params:
        raise ValueError(f"what this statement says is only known when it is run: {compiled}")
    missing = [
        name for name, bound in compiled.binds.items() if bound.required and name not in names
    ]
    if missing:
        raise ValueError(f"there is no value for {', '.join(missing)}: {compiled}")
    writers = {
        name: process
        for name, bound in compiled.binds.items()
        if (process := bound.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    constants = {
        name: writers[name](bound.effective_value) if name in writers else bound.effective_value
        for name, bound in compiled.binds.items()
        if name not in names
    }
    columns = _columns(statement)
    readers = (
        column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
    )
    return _Ready(
        text=str(compiled),
        constants=constants,
        writers=tuple((name, write) for name, write in writers.items() if name in names),
        order=tuple(compiled.positiontup) if compiled.positional else None,
        names=tuple(column.name for column in columns),
        readers=tuple((place, read) for place, read in enumerate(readers) if read is not None),
    )


def _columns(statement: Any) -> tuple[Any, ...]:
    """What the rows of a statement consist of; nothing when it tells none."""
    if hasattr(statement, "selected_columns"):
        return tuple(statement.selected_columns.values())
    return tuple(statement.exported_columns.values())
