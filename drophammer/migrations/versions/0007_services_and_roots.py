"""services of hosts; root file systems of boot specs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drophammer.model import LongText, UTCDateTime

revision = "0007_since_0005"
down_revision = "0006_since_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "services",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hostname", sa.String(255), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("unit", sa.String(255), nullable=True),
        sa.Column("managed_by", sa.String(16), nullable=False),
        sa.Column("expected", sa.String(16), nullable=False),
        sa.Column("expected_reason", LongText, nullable=False),
        sa.Column("actual", sa.String(16), nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("since", UTCDateTime(), nullable=False),
        sa.Column("seen_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("hostname", "name", name=op.f("uq_services_hostname")),
    )
    op.add_column("boot_specs", sa.Column("root", LongText, nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Going back to an older schema is not supported; restore a backup.")
