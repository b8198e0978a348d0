"""Allocations: requests for some node of a kind, and how they take one and let go of it.

A node is chosen (``candidates.py``) and taken in one transaction: its row is locked when
it is chosen, and taken on condition that it is still free, so two allocations never get
the same one. Where every node that fits is held by somebody at that moment, the
allocation stays ``allocating``, and a conductor tries it again (``retry``). Whoever
needs both rows locks the node first.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from drophammer import candidates, nodes, portable, states, unique
from drophammer.candidates import ACTIVE, ALLOCATING, ERROR, Choice
from drophammer.errors import Conflict, Invalid, NotFound
from drophammer.identity import normal_uuid
from drophammer.model import Allocation, Node, new_uuid
from drophammer.rows import Row, Rows
from drophammer.store import Store

LOG = logging.getLogger(__name__)
STATES = (ALLOCATING, ACTIVE, ERROR)
MOST_CANDIDATES = 1000
RETRY_BATCH = 500

ALLOCATIONS = Rows(
    Allocation,
    "Allocation",
    filters={
        "node_allocation": lambda uuid: Allocation.uuid == uuid,
        "owner": lambda project: Allocation.owner == project,
        "resource_class": lambda name: Allocation.resource_class == name,
        "state": lambda state: Allocation.state == state,
    },
    taken={"name": "name {name}"},
    derived={
        "node_uuid": select(Node.uuid)
        .where(Node.allocation_uuid == Allocation.uuid)
        .correlate(Allocation)
        .scalar_subquery()
    },
)
_FOR_RELEASE = nodes.LEASE_COLUMNS | {
    "instance_info",
    "maintenance",
    "provision_state",
    "target_provision_state",
}
_FOR_BACKFILL = nodes.LEASE_COLUMNS | {
    "allocation_uuid",
    "instance_info",
    "instance_uuid",
    "lessee",
    "owner",
    "provision_state",
    "resource_class",
    "traits",
}


def create(session: Session, values: Mapping[str, Any], now: datetime.datetime) -> Row:
    """Add an allocation and give it a node if one fits. Raises Conflict for a name in use."""
    choice = candidates.choose(session, values, now)
    why = choice.why if choice.state == ERROR else None
    row = _added(session, {**values, "state": choice.state, "last_error": why}, now)
    taken = None if choice.node is None else _take(session, row, choice.node, now)
    LOG.info("allocation %s: %s, node=%s", row["uuid"], choice.state, taken)
    return {**row, "node_uuid": taken}


def backfill(
    session: Session, values: Mapping[str, Any], ident: str, now: datetime.datetime
) -> Row:
    """Add an allocation for a node that is in use already.

    Raises Invalid when it is another kind of node than the values ask for, NodeLocked
    while somebody holds it, Conflict when it is not in use or has an allocation.
    """
    try:
        node = nodes.find(session, ident, _FOR_BACKFILL, lock=True)
    except NotFound as error:
        raise Invalid(error.message) from error
    nodes.check_free(node, now)
    _check_in_use(node)
    wanted = {
        **values,
        "uuid": values.get("uuid") or node["instance_uuid"] or new_uuid(),
        "resource_class": values.get("resource_class") or node["resource_class"],
        "state": ACTIVE,
    }
    _check_same(node, wanted)
    row = _added(session, wanted, now)
    return {**row, "node_uuid": _take(session, row, node, now)}


def resolved(session: Session, idents: Sequence[str]) -> list[str]:
    """The UUIDs of the nodes that are named, in the same order. Raises Invalid."""
    if len(idents) > MOST_CANDIDATES:
        raise Invalid(
            f"candidate_nodes: {len(idents)} nodes are named; at most {MOST_CANDIDATES} can be."
        )
    asked = [normal_uuid(ident) or ident for ident in idents]
    query = select(Node.uuid, Node.name).where(or_(Node.uuid.in_(asked), Node.name.in_(asked)))
    found: dict[str | None, str] = {}
    for uuid, name in session.execute(query):
        found[name] = found[uuid] = uuid
    missing = [ident for ident in asked if ident not in found]
    if missing:
        raise Invalid(nodes.not_found(missing[0][:255]).message)
    return list(dict.fromkeys(found[ident] for ident in asked))


def release(session: Session, allocation: Row, now: datetime.datetime) -> None:
    """Delete an allocation and free its node.

    Raises NodeLocked while somebody holds the node, Conflict when its state forbids it.
    """
    node = nodes.by_allocation(session, allocation["uuid"], _FOR_RELEASE)
    if node is not None:
        nodes.check_free(node, now)
        _check_releasable(node, allocation["uuid"])
        info = node["instance_info"]
        if info.get("traits") == allocation["traits"]:
            info = {key: value for key, value in info.items() if key != "traits"}
        values = {"allocation_uuid": None, "instance_uuid": None, "instance_info": info}
        nodes.change(session, node["id"], {**values, "updated_at": now})
    elif allocation["state"] == ALLOCATING and not _settled(session, allocation, ERROR, now):
        raise Conflict(f"Allocation {allocation['uuid']} has just got a node; try again.")
    destroy(session, allocation["uuid"])


def destroy(session: Session, uuid: str) -> None:
    """Delete an allocation that has no node any more."""
    session.execute(delete(Allocation).where(Allocation.uuid == uuid))


def ended_by(session: Session, node: Row, changed: dict[str, Any]) -> str | None:
    """The allocation that ends with a change of its node, to be destroyed after it.

    Adds to ``changed`` what belongs to that. Raises Conflict for what it forbids.
    """
    uuid: str | None = node["allocation_uuid"]
    if uuid is None:
        return None
    if "owner" in changed and ALLOCATIONS.find(session, uuid, {"owner"})["owner"] is not None:
        raise Conflict(
            f"The owner of node {node['uuid']} cannot change while it has allocation {uuid}, "
            "which has an owner of its own; delete the allocation first."
        )
    if "instance_uuid" not in changed:
        return None
    _check_releasable(node, uuid)
    changed["allocation_uuid"] = None
    return uuid


def retry(store: Store, patience: float) -> None:
    """Try again for those that are waiting for nodes held by somebody; not longer than so."""
    with store.read() as session:
        query = select(Allocation.uuid).where(Allocation.state == ALLOCATING)
        waiting = session.scalars(query.order_by(Allocation.id).limit(RETRY_BATCH)).all()
    for uuid in waiting:
        try:
            _retry_one(store, uuid, patience)
        except NotFound:
            LOG.info("allocation %s was deleted while it waited for a node", uuid)
        except Conflict as error:
            with store.write() as session:
                _settled(session, {"uuid": uuid}, ERROR, store.clock.now(), error.message)


def _retry_one(store: Store, uuid: str, patience: float) -> None:
    now = store.clock.now()
    with store.write() as session:
        row = ALLOCATIONS.find(session, uuid, ALLOCATIONS.columns)
        choice = candidates.choose(session, row, now)
        if choice.state == ALLOCATING:
            if (now - row["created_at"]).total_seconds() < patience:
                return
            choice = Choice(ERROR, why=f"{choice.why} It has been tried for {patience:g} s.")
        if _settled(session, row, choice.state, now, choice.why) and choice.node is not None:
            _take(session, row, choice.node, now)
    LOG.info("allocation %s: %s", uuid, choice.state)


def _added(session: Session, values: Mapping[str, Any], now: datetime.datetime) -> Row:
    uuid = values.get("uuid") or new_uuid()
    return ALLOCATIONS.create(session, {**values, "uuid": uuid, "created_at": now})


def _settled(
    session: Session,
    allocation: Mapping[str, Any],
    state: str,
    now: datetime.datetime,
    why: str | None = None,
) -> bool:
    """Let a waiting allocation be something else. False when it does not wait any more."""
    return portable.changed(
        session,
        update(Allocation)
        .where(Allocation.uuid == allocation["uuid"], Allocation.state == ALLOCATING)
        .values(state=state, last_error=why, updated_at=now),
    )


def _take(session: Session, allocation: Row, node: Row, now: datetime.datetime) -> str:
    """Give the allocation the node, and the node its traits; returns the node's UUID."""
    uuid = allocation["uuid"]
    query = (
        update(Node)
        .where(
            Node.id == node["id"],
            Node.allocation_uuid.is_(None),
            or_(Node.instance_uuid.is_(None), Node.instance_uuid == uuid),
        )
        .values(
            allocation_uuid=uuid,
            instance_uuid=uuid,
            instance_info={**node["instance_info"], "traits": allocation["traits"]},
            updated_at=now,
        )
    )
    try:
        taken = portable.changed(session, query)
    except IntegrityError as error:
        if unique.collided(error, "nodes", ("instance_uuid",)) is None:
            raise
        raise Conflict(f"Instance {uuid} is already associated with another node.") from error
    if not taken:
        raise Conflict(f"Node {node['uuid']} was taken by somebody else just now; try again.")
    return str(node["uuid"])


def _check_in_use(node: Row) -> None:
    if node["provision_state"] != states.ACTIVE:
        raise Conflict(
            f"Node {node['uuid']} is in state '{node['provision_state']}'; only for a node that "
            "is active can an allocation be added afterwards."
        )
    if node["allocation_uuid"] is not None:
        raise Conflict(f"Node {node['uuid']} has allocation {node['allocation_uuid']} already.")


def _check_same(node: Row, wanted: Mapping[str, Any]) -> None:
    """Raise unless the node is what the allocation asks for."""
    uuid, instance, owner = node["uuid"], node["instance_uuid"], wanted.get("owner")
    if instance not in (None, wanted["uuid"]):
        raise Conflict(
            f"Node {uuid} is associated with instance {instance}: its allocation must have that "
            f"UUID, or none given, not {wanted['uuid']}."
        )
    wrong = []
    if wanted["resource_class"] != node["resource_class"]:
        wrong.append(f"its resource class is {node['resource_class']}")
    lacks = set(wanted.get("traits") or ()).difference((node["traits"] or "").split(","))
    if lacks:
        wrong.append(f"it is without the traits {', '.join(sorted(lacks))}")
    if wanted.get("candidate_nodes") and uuid not in wanted["candidate_nodes"]:
        wrong.append("it is not among the candidate nodes")
    if owner is not None and owner not in (node["owner"], node["lessee"]):
        wrong.append(f"it is neither owned by nor lent to {owner}")
    if wrong:
        raise Invalid(f"Node {uuid} is not what the allocation asks for: {'; '.join(wrong)}.")


def _check_releasable(node: Row, allocation: str) -> None:
    """Raise Conflict when the node's state forbids to take its allocation away."""
    state = node["provision_state"]
    moving = node["target_provision_state"] and state not in states.PATCHABLE_WITH_TARGET
    if not node["maintenance"] and (moving or state == states.ACTIVE):
        raise Conflict(
            f"Allocation {allocation} cannot be removed while node {node['uuid']} is in state "
            f"'{state}'; undeploy the node, or set it to maintenance, first."
        )
