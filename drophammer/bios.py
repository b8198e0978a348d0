"""Queries on BIOS settings: as the conductor last read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from drophammer.model import BiosSetting
from drophammer.store import Reader

_TABLE = BiosSetting.__table__


def of_node(session: Reader, node_id: int) -> Sequence[dict[str, Any]]:
    """All settings of a node, by name."""
    query = select(_TABLE).where(_TABLE.c.node_id == node_id).order_by(_TABLE.c.name)
    return [dict(row) for row in session.execute(query).mappings()]


def one(session: Reader, node_id: int, name: str) -> dict[str, Any] | None:
    """One setting of a node, or None."""
    query = select(_TABLE).where(_TABLE.c.node_id == node_id, _TABLE.c.name == name)
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)
