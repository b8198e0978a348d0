"""Queries on ports. Rows are plain mappings and carry ``node_uuid`` of their node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from drophammer import pages, unique
from drophammer.errors import Conflict, NotFound
from drophammer.model import Node, Port
from drophammer.nodes import normal_uuid
from drophammer.pages import Page

Row = dict[str, Any]

# What a change of a port must know of its node.
_NODE: dict[str, Any] = {
    "node_uuid": Node.uuid,
    "node_provision_state": Node.provision_state,
    "node_maintenance": Node.maintenance,
    "node_instance_uuid": Node.instance_uuid,
    "lease_owner": Node.lease_owner,
    "lease_host": Node.lease_host,
    "lease_purpose": Node.lease_purpose,
    "lease_expires": Node.lease_expires,
}
COLUMNS = frozenset(column.name for column in Port.__table__.columns)
NODE_COLUMNS = frozenset(_NODE)
ALWAYS = frozenset({"id", "uuid"})

FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "address": lambda mac: Port.address == mac,
    "conductor_groups": lambda names: Node.conductor_group.in_(names),
    "description_contains": lambda text: Port.description.contains(text, autoescape=True),
    "node_id": lambda node_id: Port.node_id == node_id,
    "shard": lambda names: Node.shard.in_(names),
}


def find(session: Session, ident: str, columns: Collection[str], *, lock: bool = False) -> Row:
    """One port by UUID or name. Raises NotFound. ``lock`` also holds its node."""
    wanted = normal_uuid(ident)
    condition = Port.name == ident if wanted is None else Port.uuid == wanted
    query = _select(columns).where(condition)
    if lock:
        query = query.with_for_update()
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found(ident)
    return dict(row)


def page(
    session: Session, filters: Mapping[str, Any], page: Page, columns: Collection[str]
) -> Sequence[Row]:
    """Some ports, in order. Raises NotFound when the marker names none."""
    key = Port.__table__.columns[page.sort_key]
    after = None
    if page.marker is not None:
        place = session.execute(select(key, Port.id).where(Port.uuid == page.marker)).one_or_none()
        if place is None:
            raise not_found(page.marker)
        after = (place[0], place[1])
    query = _select(columns).where(*(FILTERS[name](value) for name, value in filters.items()))
    rows = session.execute(pages.cut(query, page, key, Port.id, after)).mappings()
    return [dict(row) for row in rows]


def create(session: Session, values: Mapping[str, Any]) -> Row:
    """Add a port and return its own columns. Raises Conflict for a MAC, uuid or name in use."""
    query = insert(Port).values(**values).returning(*Port.__table__.columns)
    try:
        return dict(session.execute(query).mappings().one())
    except IntegrityError as error:
        _explain(error, values)
        raise


def change(session: Session, port_id: int, values: Mapping[str, Any]) -> None:
    """Write columns of a port. Raises Conflict for a MAC or name in use."""
    try:
        session.execute(update(Port).where(Port.id == port_id).values(**values))
    except IntegrityError as error:
        _explain(error, values)
        raise


def remove(session: Session, port_id: int) -> None:
    """Delete a port."""
    session.execute(delete(Port).where(Port.id == port_id))


def not_found(ident: str) -> NotFound:
    """The error for a port that is not there."""
    return NotFound(f"Port {ident} could not be found.")


def _select(columns: Collection[str]) -> Select[Any]:
    wanted = sorted(ALWAYS | set(columns))
    return (
        select(
            *(
                _NODE[name].label(name) if name in _NODE else Port.__table__.columns[name]
                for name in wanted
            )
        )
        .select_from(Port)
        .join(Node, Node.id == Port.node_id)
    )


def _explain(error: IntegrityError, values: Mapping[str, Any]) -> None:
    """Raise Conflict when ``error`` says that something is in use."""
    column = unique.collided(error, "ports", ("uuid", "name", "address"))
    if column is None:
        return
    if column == "address":
        raise Conflict(f"A port with MAC address {values[column]} already exists.") from error
    raise Conflict(f"A port with {column} {values[column]} already exists.") from error
