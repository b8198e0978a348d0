"""Writing on condition, and learning what came of it, on every database.

MariaDB has no UPDATE ... RETURNING. What it is told in one statement elsewhere takes a
second one there, in the same transaction: the row that was written is locked until its end,
so it is read as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    CursorResult,
    Update,
    bindparam,
    select,
)
from sqlalchemy.orm import Session

from drophammer import direct

_PLAIN = {"synchronize_session": False}


def changed(session: Session, statement: Update) -> bool:
    """Run an UPDATE; whether there was any row for it."""
    done = session.execute(statement, execution_options=_PLAIN)
    return cast(CursorResult[Any], done).rowcount > 0


def update_one(
    session: Session, statement: Update, wanted: Sequence[Column[Any]], told: Mapping[str, Any]
) -> direct.Row | None:
    """Run an UPDATE of at most one row of a table and return the ``wanted`` columns of it.

    The first of them finds that row: it is compared with the parameter ``its_row``. ``told``
    are the values of all parameters. None when there was no row for the statement.
    """
    columns = tuple(wanted)
    if session.get_bind().dialect.update_returning:
        found = direct.rows(session, _returning(statement, columns), told)
    elif direct.changed(session, statement, told):
        found = direct.rows(session, _reading(columns), {"its_row": told["its_row"]})
    else:
        return None
    return found[0] if found else None


@lru_cache(maxsize=32)
def _returning(statement: Update, columns: tuple[Column[Any], ...]) -> ClauseElement:
    return statement.returning(*columns)


@lru_cache(maxsize=32)
def _reading(columns: tuple[Column[Any], ...]) -> ClauseElement:
    return select(*columns).where(columns[0] == bindparam("its_row"))


def update_some(
    session: Session, statement: Update, which: ColumnElement[bool], key: Any
) -> list[Any]:
    """Run an UPDATE of the rows that meet ``which``, and return the ``key`` of each."""
    if session.get_bind().dialect.update_returning:
        found = session.scalars(statement.where(which).returning(key), execution_options=_PLAIN)
        return list(found)
    keys = list(session.scalars(select(key).where(which).order_by(key).with_for_update()))
    session.execute(statement.where(key.in_(keys)), execution_options=_PLAIN)
    return keys


def update_all(
    session: Session, statement: Update, which: ColumnElement[bool], wanted: Sequence[Any]
) -> list[Any]:
    """Run an UPDATE after which rows still meet ``which``; the ``wanted`` columns of each."""
    if session.get_bind().dialect.update_returning:
        statement = statement.where(which).returning(*wanted)
        found = session.execute(statement, execution_options=_PLAIN)
    else:
        session.execute(statement.where(which), execution_options=_PLAIN)
        found = session.execute(select(*wanted).where(which))
    return [tuple(row) for row in found]
