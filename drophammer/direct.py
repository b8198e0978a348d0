"""Rows straight from sqlite's driver, for the few questions that are asked all the time.

SQLAlchemy writes the statement, once, and says how values are read; it is left out where
the statement is run. Its code is most of what a GET of one node has to go through: in a
process that rests between requests it costs a quarter of the application's CPU. On a
server the way there costs more than that: nothing is left out.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.engine import Dialect

from drophammer.rows import SELECTS, Row, mapped
from drophammer.store import Reader


@dataclass(frozen=True)
class _Ready:
    """A statement as the driver takes it: its text, and what its rows become."""

    text: str
    parameters: tuple[str, ...]
    names: tuple[str, ...]
    readers: tuple[tuple[int, Callable[[Any], Any]], ...]

    def mapping(self, row: tuple[Any, ...]) -> dict[str, Any]:
        values = list(row)
        for place, read in self.readers:
            if values[place] is not None:
                values[place] = read(values[place])
        return dict(zip(self.names, values, strict=True))


def rows(reader: Reader, query: Select[Any], values: Mapping[str, Any]) -> list[Row]:
    """All rows of a query, as ``rows.mapped`` has them.

    ``query`` must be one that is kept and used again, with ``values`` for all that is bound.
    """
    found = _rows(reader, query, values) if isinstance(reader, Connection) else None
    return mapped(reader.execute(query, values)) if found is None else found


def _rows(
    connection: Connection, query: Select[Any], values: Mapping[str, Any]
) -> list[Row] | None:
    if connection.dialect.name != "sqlite":
        return None
    ready = _ready(query, connection.dialect)
    driver: Any = connection.connection.dbapi_connection
    try:
        found = driver.execute(ready.text, [values[name] for name in ready.parameters]).fetchall()
    except sqlite3.Error:
        # It will fail again, and is then told as every failure of the database is.
        return None
    return [ready.mapping(row) for row in found]


@functools.lru_cache(SELECTS)
def _ready(query: Select[Any], dialect: Dialect) -> _Ready:
    compiled: Any = query.compile(dialect=dialect)
    columns = query.selected_columns.values()
    readers = (
        column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
    )
    return _Ready(
        text=str(compiled),
        parameters=tuple(compiled.positiontup),
        names=tuple(column.name for column in columns),
        readers=tuple((place, read) for place, read in enumerate(readers) if read is not None),
    )
