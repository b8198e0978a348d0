"""Writing on condition, and learning what came of it, on every database.

MariaDB has no UPDATE ... RETURNING. What it is told in one statement elsewhere takes a
second one there, in the same transaction: the row that was written is locked until its end,
so it is read as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, select
from sqlalchemy.orm import Session

_PLAIN = {"synchronize_session": False}


def changed(session: Session, statement: Update) -> bool:
    """Run an UPDATE; whether there was any row for it."""
    done = session.execute(statement, execution_options=_PLAIN)
    return cast(CursorResult[Any], done).rowcount > 0


def update_one(
    session: Session,
    statement: Update,
    which: ColumnElement[bool],
    wanted: Any,
    told: Mapping[str, Any],
) -> Any | None:
    """Run an UPDATE of at most one row and return ``wanted`` of it: a column, or the entity.

    ``which`` finds that row afterwards; ``told`` are the values of both statements' parameters.
    None when there was no row for the statement.
    """
    if not session.get_bind().dialect.update_returning:
        done = session.execute(statement, told, execution_options=_PLAIN)
        if not cast(CursorResult[Any], done).rowcount:
            return None
        query = select(wanted).where(which)
        found = session.execute(query, told, execution_options={"populate_existing": True})
        return found.scalar_one()
    return session.execute(
        _returning(statement, wanted), told, execution_options={**_PLAIN, "populate_existing": True}
    ).scalar_one_or_none()


@lru_cache(maxsize=32)
def _returning(statement: Update, wanted: Any) -> Any:
    return statement.returning(wanted)


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
