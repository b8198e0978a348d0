"""Queries on nodes. Rows come back as plain mappings with just the columns asked for.

What the ramdisk agent told (``agent_*``) is joined in when asked for. No rules of
the life of a node are here: who may change what is decided by the callers.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from drophammer import pages, states, unique
from drophammer.errors import Conflict, NodeLocked, NotFound
from drophammer.identity import normal_uuid
from drophammer.model import Agent, Node, NodeTrait, Port
from drophammer.pages import Page
from drophammer.store import locked_message

Row = dict[str, Any]

_AGENT: dict[str, Any] = {
    "agent_url": Agent.url,
    "agent_version": Agent.version,
    "agent_last_beat": Agent.last_beat,
    "agent_has_token": Agent.token.is_not(None),
    "agent_token": Agent.token,
    "agent_token_shown": Agent.token_shown,
    "agent_certificate": Agent.certificate,
    "agent_beats": Agent.beats,
}
AGENT_COLUMNS = frozenset(_AGENT)
# In one text, so that a page of nodes stays one statement: traits have no commas.
_TRAITS = (
    select(func.aggregate_strings(NodeTrait.trait, ","))
    .where(NodeTrait.node_id == Node.id)
    .correlate(Node)
    .scalar_subquery()
)
_DERIVED: dict[str, Any] = {**_AGENT, "traits": _TRAITS}
COLUMNS = frozenset(column.name for column in Node.__table__.columns)
SHOWN_AGENT = frozenset({"agent_url", "agent_version", "agent_last_beat", "agent_has_token"})
ALWAYS = frozenset({"id", "uuid"})

FILTERS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "chassis_uuid": lambda uuid: Node.chassis_uuid == uuid,
    "associated": lambda yes: _set(Node.instance_uuid, yes),
    "conductor_group": lambda group: Node.conductor_group == group,
    "description_contains": lambda text: Node.description.contains(text, autoescape=True),
    "driver": lambda name: Node.driver == name,
    "fault": lambda fault: _equal(Node.fault, fault),
    "instance_name": lambda name: Node.instance_name == name,
    "instance_uuid": lambda uuid: Node.instance_uuid == uuid,
    "lessee": lambda project: Node.lessee == project,
    "maintenance": lambda yes: Node.maintenance.is_(yes),
    "owner": lambda project: Node.owner == project,
    "parent_node": lambda uuid: _equal(Node.parent_node, uuid),
    "project": lambda project: or_(Node.owner == project, Node.lessee == project),
    "provision_state": lambda state: Node.provision_state == state,
    "resource_class": lambda name: Node.resource_class == name,
    "retired": lambda yes: Node.retired.is_(yes),
    "served_by": lambda pairs: _served(pairs),
    "shard": lambda names: Node.shard.in_(names),
    "sharded": lambda yes: _set(Node.shard, yes),
}
"""How a list can be narrowed: name of the filter to its condition."""


def find(session: Session, ident: str, columns: Collection[str], *, lock: bool = False) -> Row:
    """One node by UUID (any spelling) or name. Raises NotFound.

    ``lock`` keeps others from changing it until the transaction ends.
    """
    wanted = normal_uuid(ident)
    condition = Node.name == ident if wanted is None else Node.uuid == wanted
    query = _select(columns).where(condition)
    if lock:
        query = query.with_for_update(of=Node.__table__)
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found(ident)
    return dict(row)


def by_id(
    session: Session, node_id: int, columns: Collection[str], *, lock: bool = False
) -> Row | None:
    """One node by its internal number, or None."""
    query = _select(columns).where(Node.id == node_id)
    if lock:
        query = query.with_for_update(of=Node.__table__)
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def page(
    session: Session, filters: Mapping[str, Any], page: Page, columns: Collection[str]
) -> Sequence[Row]:
    """Some nodes, in order. Raises NotFound when the marker names none."""
    key = Node.__table__.columns[page.sort_key]
    after = None
    if page.marker is not None:
        place = session.execute(select(key, Node.id).where(Node.uuid == page.marker)).one_or_none()
        if place is None:
            raise not_found(page.marker)
        after = (place[0], place[1])
    query = _select(columns).where(*(FILTERS[name](value) for name, value in filters.items()))
    return _rows(session, pages.cut(query, page, key, Node.id, after))


def by_uuid(session: Session, uuid: str, columns: Collection[str]) -> Sequence[Row]:
    """The node with this UUID, as a list of one or none."""
    return _rows(session, _select(columns).where(Node.uuid == uuid))


def by_macs(session: Session, macs: Sequence[str], columns: Collection[str]) -> Sequence[Row]:
    """The nodes, each once, that own ports with these MAC addresses."""
    owners = select(Port.node_id).where(Port.address.in_(macs))
    return _rows(session, _select(columns).where(Node.id.in_(owners)))


def in_state(session: Session, state: str, columns: Collection[str]) -> Sequence[Row]:
    """All nodes in a provision state."""
    return _rows(session, _select(columns).where(Node.provision_state == state))


def any_in_chassis(session: Session, chassis_uuid: str) -> bool:
    """Whether a chassis holds any node."""
    query = select(Node.id).where(Node.chassis_uuid == chassis_uuid).limit(1)
    return session.execute(query).first() is not None


def create(session: Session, values: Mapping[str, Any]) -> Row:
    """Add a node and return it whole. Raises Conflict for a uuid, name or instance in use."""
    query = insert(Node).values(**values).returning(*Node.__table__.columns)
    try:
        return dict(session.execute(query).mappings().one())
    except IntegrityError as error:
        _explain(error, values)
        raise


def change(session: Session, node_id: int, values: Mapping[str, Any]) -> None:
    """Write columns of a node. Raises Conflict for a name or instance in use."""
    try:
        session.execute(update(Node).where(Node.id == node_id).values(**values))
    except IntegrityError as error:
        _explain(error, values)
        raise


def remove(session: Session, node_id: int) -> None:
    """Delete a node and all that hangs on it (ports, agent, inventory, events, operations)."""
    session.execute(delete(Node).where(Node.id == node_id))


def touch(session: Session, node_id: int, now: datetime.datetime) -> bool:
    """Note life in a wait state. False when the node is not in one at this moment.

    Must come after the write to the agent's row, in the same transaction: a worker
    that is about to give the node back locks that row first and then either sees
    the new beat, or is seen here to have given the node back.
    """
    return (
        session.execute(
            update(Node)
            .where(Node.id == node_id, Node.provision_state.in_(states.WAITING))
            .values(provision_updated_at=now)
            .returning(Node.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        is not None
    )


def check_free(row: Mapping[str, Any], now: datetime.datetime) -> None:
    """Raise NodeLocked when somebody holds the node. ``row`` has the lease columns."""
    if holder(row, now) is not None:
        raise NodeLocked(locked_message(row["uuid"], row["lease_host"], row["lease_purpose"]))


def holder(row: Mapping[str, Any], now: datetime.datetime) -> str | None:
    """Host name of whoever holds the node's lease; None when it is free or has run out."""
    expires = row["lease_expires"]
    if row["lease_owner"] is None or expires is None or expires < now:
        return None
    return str(row["lease_host"] or "unknown")


LEASE_COLUMNS = frozenset({"lease_owner", "lease_host", "lease_purpose", "lease_expires"})


def not_found(ident: str) -> NotFound:
    """The error for a node that is not there. Clients match on this text."""
    return NotFound(f"Node {ident} could not be found.")


def _select(columns: Collection[str]) -> Select[Any]:
    wanted: Iterable[str] = sorted(ALWAYS | set(columns))
    query = select(
        *(
            _DERIVED[name].label(name) if name in _DERIVED else Node.__table__.columns[name]
            for name in wanted
        )
    ).select_from(Node)
    if AGENT_COLUMNS.intersection(columns):
        query = query.outerjoin(Agent, Agent.node_id == Node.id)
    return query


def _rows(session: Session, query: Select[Any]) -> Sequence[Row]:
    return [dict(row) for row in session.execute(query).mappings()]


def _set(column: InstrumentedAttribute[Any], yes: bool) -> ColumnElement[bool]:
    return column.is_not(None) if yes else column.is_(None)


def _equal(column: InstrumentedAttribute[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _served(pairs: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    conditions = [
        and_(Node.conductor_group == group, Node.driver == driver) for group, driver in pairs
    ]
    return or_(*conditions) if conditions else and_(false(), true())


def _explain(error: IntegrityError, values: Mapping[str, Any]) -> None:
    """Raise Conflict when ``error`` says that something is in use."""
    column = unique.collided(error, "nodes", ("uuid", "name", "instance_uuid"))
    if column is None:
        return
    if column == "instance_uuid":
        raise Conflict(
            f"Instance {values[column]} is already associated with a node; it cannot be "
            "associated with this one too."
        ) from error
    raise Conflict(f"A node with {column} {values[column]} already exists.") from error
