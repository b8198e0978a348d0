"""event ids only ever rise, and there are enough of them"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WIDE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Streams go on from the last id they saw; sqlite gave the newest one out again when its
    # event was deleted.
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        options = {"sqlite_autoincrement": True}
        with op.batch_alter_table("events", recreate="always", table_kwargs=options):
            pass
        return
    # Said again, or MariaDB drops it with the old type.
    counted: dict[str, Any] = {"autoincrement": True} if dialect == "mariadb" else {}
    op.alter_column(
        "events",
        "id",
        existing_type=sa.Integer(),
        type_=_WIDE,
        existing_nullable=False,
        **counted,
    )
    if dialect == "postgresql":
        op.execute("ALTER SEQUENCE events_id_seq AS BIGINT")
