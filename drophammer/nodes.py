"""Queries on nodes. Rows come back as plain mappings with just the columns asked for.

What the ramdisk agent told (``agent_*``) is joined in when asked for. No rules of
the life of a node are here: who may change what is decided by the callers.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from drophammer import direct, pages, portable, states, unique
from drophammer.errors import Conflict, NodeLocked, NotFound
from drophammer.identity import normal_uuid
from drophammer.model import Agent, Allocation, Node, NodeTrait, Port
from drophammer.pages import Page
from drophammer.rows import NODES, SELECTS, mapped
from drophammer.store import Reader, held, locked_message
from drophammer.stored import as_stored

Row = dict[str, Any]

_AGENTS, _TRAITS_OF_NODES = Agent.__table__, NodeTrait.__table__
_AGENT: dict[str, Any] = {
    "agent_url": _AGENTS.c.url,
    "agent_version": _AGENTS.c.version,
    "agent_last_beat": _AGENTS.c.last_beat,
    "agent_has_token": _AGENTS.c.token.is_not(None),
    "agent_token": _AGENTS.c.token,
    "agent_token_shown": _AGENTS.c.token_shown,
    "agent_certificate": _AGENTS.c.certificate,
    "agent_beats": _AGENTS.c.beats,
}
AGENT_COLUMNS = frozenset(_AGENT)
# Not a str: that would be put into the statement anew each time it is run.
_COMMA: Any = literal_column("','")
# In one text, so that a page of nodes stays one statement: traits have no commas.
_TRAITS = (
    select(func.aggregate_strings(_TRAITS_OF_NODES.c.trait, _COMMA))
    .where(_TRAITS_OF_NODES.c.node_id == NODES.c.id)
    .correlate(NODES)
    .scalar_subquery()
)
_DERIVED: dict[str, Any] = {**_AGENT, "traits": _TRAITS}
COLUMNS = frozenset(column.name for column in Node.__table__.columns)
SHOWN_AGENT = frozenset({"agent_url", "agent_version", "agent_last_beat", "agent_has_token"})
ALWAYS = frozenset({"id", "uuid"})

_INSERT = insert(NODES).returning(*NODES.c)

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
    "provision_state": lambda state: Node.provision_state == state,
    "resource_class": lambda name: Node.resource_class == name,
    "retired": lambda yes: Node.retired.is_(yes),
    "served_by": lambda pairs: _served(pairs),
    "shard": lambda names: Node.shard.in_(names),
    "sharded": lambda yes: _set(Node.shard, yes),
}
"""How a list can be narrowed: name of the filter to its condition. ``project``: owner or lessee."""
_OF_PROJECT = (Node.owner, Node.lessee)


def find(
    session: Reader,
    ident: str,
    columns: Collection[str],
    stored: Collection[str] = (),
    *,
    lock: bool = False,
) -> Row:
    """One node by UUID (any spelling) or name. Raises NotFound.

    JSON columns in ``stored`` come as they are stored. ``lock`` keeps others from
    changing the node until the transaction ends.
    """
    wanted = normal_uuid(ident)
    by = "name" if wanted is None else "uuid"
    query = _finding(by, lock, frozenset(columns), frozenset(stored))
    found = direct.rows(session, query, {"ident": wanted or ident})
    if not found:
        raise not_found(ident)
    return found[0]


def find_all(session: Reader, idents: Collection[str], columns: Collection[str]) -> dict[str, Row]:
    """Nodes by what each was called, a UUID (any spelling) or a name. Unknown ones are left out."""
    uuids = {ident: uuid for ident in idents if (uuid := normal_uuid(ident)) is not None}
    names = [ident for ident in idents if ident not in uuids]
    query = _select(frozenset(columns) | {"name"})
    either = [NODES.c.uuid.in_(set(uuids.values()))] if uuids else []
    either += [NODES.c.name.in_(names)] if names else []
    found = mapped(session.execute(query.where(or_(*either))))
    by_uuid, by_name = ({row[key]: row for row in found} for key in ("uuid", "name"))
    called = {ident: by_uuid.get(uuid) for ident, uuid in uuids.items()}
    called |= {name: by_name.get(name) for name in names}
    return {ident: row for ident, row in called.items() if row is not None}


def by_id(
    session: Session, node_id: int, columns: Collection[str], *, lock: bool = False
) -> Row | None:
    """One node by its internal number, or None."""
    query = _finding("id", lock, frozenset(columns), frozenset())
    found = mapped(session.execute(query, {"ident": node_id}))
    return found[0] if found else None


def page(
    session: Reader,
    filters: Mapping[str, Any],
    page: Page,
    columns: Collection[str],
    stored: Collection[str] = (),
) -> Sequence[Row]:
    """Some nodes, in order. Raises NotFound when the marker names none."""
    key, row_id = NODES.c[page.sort_key], NODES.c.id
    after = None
    if page.marker is not None:
        place = session.execute(select(key, row_id).where(NODES.c.uuid == page.marker)).first()
        if place is None:
            raise not_found(page.marker)
        after = (place[0], place[1])
    query = _select(frozenset(columns), frozenset(stored))
    query = query.where(*(FILTERS[n](value) for n, value in filters.items() if n != "project"))
    either = [column == filters["project"] for column in _OF_PROJECT if "project" in filters]
    return pages.read(
        lambda part: mapped(session.execute(part)), query, page, key, row_id, after, either
    )


def by_uuid(session: Session, uuid: str, columns: Collection[str]) -> Sequence[Row]:
    """The node with this UUID, as a list of one or none."""
    return mapped(session.execute(_select(frozenset(columns)).where(Node.uuid == uuid)))


def by_allocation(session: Session, uuid: str, columns: Collection[str]) -> Row | None:
    """The node that an allocation has, locked until the transaction ends; None when it has none."""
    query = _finding("allocation_uuid", True, frozenset(columns), frozenset())
    found = mapped(session.execute(query, {"ident": uuid}))
    return found[0] if found else None


def by_macs(session: Session, macs: Sequence[str], columns: Collection[str]) -> Sequence[Row]:
    """The nodes, each once, that own ports with these MAC addresses."""
    owners = select(Port.node_id).where(Port.address.in_(macs))
    return mapped(session.execute(_select(frozenset(columns)).where(Node.id.in_(owners))))


def in_state(session: Session, state: str, columns: Collection[str]) -> Sequence[Row]:
    """All nodes in a provision state."""
    return mapped(session.execute(_select(frozenset(columns)).where(Node.provision_state == state)))


def any_in_chassis(session: Session, chassis_uuid: str) -> bool:
    """Whether a chassis holds any node."""
    query = select(Node.id).where(Node.chassis_uuid == chassis_uuid).limit(1)
    return session.execute(query).first() is not None


def children(session: Reader, parent: str) -> list[str]:
    """The UUIDs of a node's children, oldest first."""
    query = select(Node.uuid).where(Node.parent_node == parent).order_by(Node.id)
    return list(session.scalars(query))


def count_by_shard(session: Reader) -> list[tuple[str | None, int]]:
    """Each shard with the number of its nodes; None for those without one."""
    query = select(Node.shard, func.count()).group_by(Node.shard).order_by(Node.shard)
    return [(shard, count) for shard, count in session.execute(query)]


def create(session: Session, values: Mapping[str, Any]) -> Row:
    """Add a node and return it whole. Raises Conflict for a uuid, name or instance in use."""
    try:
        return mapped(session.execute(_INSERT, dict(values)))[0]
    except IntegrityError as error:
        _explain(error, values)
        raise


def change(session: Session, node_id: int, values: Mapping[str, Any]) -> None:
    """Write columns of a node. Raises Conflict for a name or instance in use."""
    try:
        session.execute(update(NODES).where(NODES.c.id == node_id).values(**values))
    except IntegrityError as error:
        _explain(error, values)
        raise


def remove(session: Session, node_id: int) -> None:
    """Delete a node and all that hangs on it (ports, agent, inventory, events, allocation...)."""
    gone = delete(Node).where(Node.id == node_id).returning(Node.uuid, Node.allocation_uuid)
    row = session.execute(gone).one_or_none()
    if row is None:
        return
    session.execute(update(NODES).where(NODES.c.parent_node == row.uuid).values(parent_node=None))
    if row.allocation_uuid is not None:
        session.execute(delete(Allocation).where(Allocation.uuid == row.allocation_uuid))


def touch(session: Session, node_ids: Collection[int], now: datetime.datetime) -> set[int]:
    """Note life in a wait state; returns those nodes that are in one at this moment.

    Must come after the write to the agents' rows, in the same transaction: a worker
    that is about to give the node back locks that row first and then either sees
    the new beat, or is seen here to have given the node back.
    """
    waiting = and_(NODES.c.id.in_(node_ids), NODES.c.provision_state.in_(states.WAITING))
    noted = update(NODES).values(provision_updated_at=now)
    return set(portable.update_some(session, noted, waiting, NODES.c.id))


def check_free(row: Mapping[str, Any], now: datetime.datetime) -> None:
    """Raise NodeLocked when somebody holds the node. ``row`` has the lease columns."""
    if held(row, now):
        raise NodeLocked(
            locked_message(row["uuid"], row["lease_host"], row["lease_purpose"], row["lease_since"])
        )


def holder(row: Mapping[str, Any], now: datetime.datetime) -> str | None:
    """Host name of whoever holds the node's lease; None when it is free or has run out."""
    return str(row["lease_host"] or "unknown") if held(row, now) else None


LEASE_COLUMNS = frozenset(
    {"lease_owner", "lease_host", "lease_purpose", "lease_since", "lease_expires"}
)


def not_found(ident: str) -> NotFound:
    """The error for a node that is not there. Clients match on this text."""
    return NotFound(f"Node {ident} could not be found.")


@functools.lru_cache(SELECTS)
def _finding(by: str, lock: bool, columns: frozenset[str], stored: frozenset[str]) -> Select[Any]:
    query = _select(columns, stored).where(NODES.c[by] == bindparam("ident"))
    return query.with_for_update(of=NODES) if lock else query


@functools.lru_cache(SELECTS)
def _select(columns: frozenset[str], stored: frozenset[str] = frozenset()) -> Select[Any]:
    query = select(*(_column(name, stored) for name in sorted(ALWAYS | columns)))
    query = query.select_from(NODES)
    if AGENT_COLUMNS.intersection(columns):
        query = query.outerjoin(_AGENTS, _AGENTS.c.node_id == NODES.c.id)
    return query


def _column(name: str, stored: frozenset[str]) -> Any:
    if name in _DERIVED:
        return _DERIVED[name].label(name)
    return as_stored(NODES.c[name]) if name in stored else NODES.c[name]


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
