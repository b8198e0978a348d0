"""Queries on inspection rules."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from drophammer.model import InspectionRule
from drophammer.rows import Rows

INSPECTION_RULES = Rows(
    InspectionRule,
    "Inspection rule",
    filters={"phase": lambda phase: InspectionRule.phase == phase},
)


def are_any(session: Session, phase: str) -> bool:
    """Whether there are rules of a phase at all."""
    query = select(InspectionRule.id).where(InspectionRule.phase == phase).limit(1)
    return session.execute(query).first() is not None
