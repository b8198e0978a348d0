"""${message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from drophammer.model import UTCDateTime
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    raise NotImplementedError("Going back to an older schema is not supported; restore a backup.")
