"""Queries on inspection rules."""

from __future__ import annotations

from drophammer.model import InspectionRule
from drophammer.rows import Rows

INSPECTION_RULES = Rows(
    InspectionRule,
    "Inspection rule",
    filters={"phase": lambda phase: InspectionRule.phase == phase},
)
