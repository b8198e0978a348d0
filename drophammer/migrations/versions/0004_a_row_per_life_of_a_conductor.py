"""a row per life of a conductor, not per host name"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drophammer.model import UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Every conductor registers when it starts: what was in the table is of none that runs.
    op.drop_table("conductors")
    op.create_table(
        "conductors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("conductor_group", sa.String(length=255), server_default="", nullable=False),
        sa.Column("hardware_types", sa.JSON(), nullable=False),
        sa.Column("process", sa.String(length=255), nullable=True),
        sa.Column("online", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conductors")),
        sa.UniqueConstraint("uuid", name=op.f("uq_conductors_uuid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_conductors_hostname"), "conductors", ["hostname"])
