"""nodes in a state sorted by name"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_nodes_provision_state_name"), "nodes", ["provision_state", "name"])


def downgrade() -> None:
    raise NotImplementedError("Going back to an older schema is not supported; restore a backup.")
