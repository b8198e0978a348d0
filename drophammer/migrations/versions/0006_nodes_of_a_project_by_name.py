"""nodes of a project sorted by name"""

from __future__ import annotations

from alembic import op

revision = "0006_since_0005"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("owner", "lessee"):
        op.create_index(op.f(f"ix_nodes_{column}_name"), "nodes", [column, "name"])


def downgrade() -> None:
    raise NotImplementedError("Going back to an older schema is not supported; restore a backup.")
