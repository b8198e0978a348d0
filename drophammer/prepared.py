"""UPDATE statements that are made once: of a short one, most of the time goes into making it.

For what is written all the time. Everything else is clearer where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import CursorResult, SQLColumnExpression, Table, Update, bindparam, update
from sqlalchemy.orm import Session

from drophammer import direct


def write(
    session: Session, table: Table, which: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    """Set columns of the rows in which others have the values ``which``; whether there were any.

    A value may be an expression, as in ``values`` of SQLAlchemy; that is made anew each time.
    """
    told = {f"if_{name}": value for name, value in which.items()}
    made = {name: value for name, value in values.items() if isinstance(value, SQLColumnExpression)}
    plain = tuple(name for name in values if name not in made)
    statement = _update(table, tuple(which), plain)
    told |= {f"to_{name}": values[name] for name in plain}
    if not made:
        return direct.changed(session, statement, told) > 0
    done = session.connection().execute(statement.values(**made), told)
    return cast(CursorResult[Any], done).rowcount > 0


@lru_cache(maxsize=1024)
def _update(table: Table, which: tuple[str, ...], names: tuple[str, ...]) -> Update:
    columns = table.columns
    conditions = (columns[name] == bindparam(f"if_{name}") for name in which)
    values = {name: bindparam(f"to_{name}", type_=columns[name].type) for name in names}
    return update(table).where(*conditions).values(values)
