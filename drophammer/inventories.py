"""Queries on inventories: what inspection found on a node."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drophammer import upsert
from drophammer.model import Inventory, JSONObject

_TABLE: Any = Inventory.__table__


def put(
    session: Session,
    node_id: int,
    inventory: JSONObject,
    plugin_data: JSONObject,
    now: datetime.datetime,
) -> None:
    """Store what was found; an earlier inspection's data gives way."""
    values = {"inventory": inventory, "plugin_data": plugin_data, "created_at": now}
    upsert.put(session, _TABLE, {"node_id": node_id, **values})


def of_node(session: Session, node_id: int) -> Inventory | None:
    """The node's inventory; None before its first inspection."""
    return session.scalars(select(Inventory).where(Inventory.node_id == node_id)).one_or_none()
