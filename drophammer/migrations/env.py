"""How alembic runs here: on the connection that ``Store.migrate`` hands over, never by itself."""

from __future__ import annotations

from typing import Any

from alembic import context
from alembic.ddl.mysql import MariaDBImpl

from drophammer.model import Base


class Rerunnable(MariaDBImpl):
    """MariaDB commits each change of the schema at once: one that was made is passed over.

    Alembic takes this class by the dialect's name. A revision that changes rows has to see
    by itself to it that it can be run again.
    """

    __dialect__ = "mariadb"

    def create_table(self, table: Any, **kw: Any) -> None:
        super().create_table(table, **kw | {"if_not_exists": True})

    def drop_table(self, table: Any, **kw: Any) -> None:
        super().drop_table(table, **kw | {"if_exists": True})

    def add_column(self, table_name: str, column: Any, **kw: Any) -> None:
        super().add_column(table_name, column, **kw | {"if_not_exists": True})

    def create_index(self, index: Any, **kw: Any) -> None:
        super().create_index(index, **kw | {"if_not_exists": True})

    def drop_index(self, index: Any, **kw: Any) -> None:
        super().drop_index(index, **kw | {"if_exists": True})


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # sqlite cannot alter a table in place; alembic then copies it.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
