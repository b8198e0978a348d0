"""A row that is written whether or not it is there already, in one statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session


def put(session: Session, table: Table, values: dict[str, Any]) -> None:
    """Make the row with the primary key in ``values`` what ``values`` says."""
    dialect = session.get_bind().dialect.name
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    if dialect in ("mysql", "mariadb"):
        statement = mysql.insert(table).values(**values).on_duplicate_key_update(**rest)
        session.execute(statement)
        return
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    session.execute(
        insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=rest)
    )
