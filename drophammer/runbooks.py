"""Queries on runbooks."""

from __future__ import annotations

from sqlalchemy import or_

from drophammer.model import Runbook
from drophammer.rows import Rows

RUNBOOKS = Rows(
    Runbook,
    "Runbook",
    filters={
        "project": lambda project: or_(Runbook.owner == project, Runbook.public.is_(True)),
    },
    taken={"name": "name {name}"},
)
