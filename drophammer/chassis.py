"""Queries on chassis."""

from __future__ import annotations

from drophammer.model import Chassis
from drophammer.rows import Rows

CHASSIS = Rows(Chassis, "Chassis")
