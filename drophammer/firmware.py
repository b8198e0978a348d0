"""Queries on firmware components: as the conductor last read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from drophammer.model import FirmwareComponent
from drophammer.store import Reader

_TABLE = FirmwareComponent.__table__


def of_node(session: Reader, node_id: int) -> Sequence[dict[str, Any]]:
    """All components of a node, by name."""
    query = select(_TABLE).where(_TABLE.c.node_id == node_id).order_by(_TABLE.c.component)
    return [dict(row) for row in session.execute(query).mappings()]
