"""How alembic runs here: on the connection that ``Store.migrate`` hands over, never by itself."""

from __future__ import annotations

from alembic import context

from drophammer.model import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # sqlite cannot alter a table in place; alembic then copies it.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
