"""Which node an allocation gets: the choice among those that fit, or why none does.

Only asks, and locks the node it chooses until the transaction ends; taking it is in
``allocations.py``.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, not_, or_, select
from sqlalchemy.orm import Session

from drophammer import states
from drophammer.model import Node, NodeTrait
from drophammer.rows import Row

ALLOCATING, ACTIVE, ERROR = "allocating", "active", "error"
_HELD, _FREE = "held by somebody at this moment", "free"


@dataclass(frozen=True)
class Choice:
    """What an allocation becomes: its state, its node if it has one, in words why it has none."""

    state: str
    node: Row | None = None
    why: str | None = None


def choose(session: Session, wanted: Mapping[str, Any], now: datetime.datetime) -> Choice:
    """A node at random among those that fit, locked; one with the allocation's name first.

    ``allocating`` when all that fit are held by somebody, so that it is worth trying again.
    """
    obstacles = _obstacles(wanted)
    held = and_(Node.lease_owner.is_not(None), Node.lease_expires >= now)
    by_name = case((Node.name == (wanted.get("name") or ""), 0), else_=1)
    query = (
        select(Node.id, Node.uuid, Node.instance_info)
        .where(*_asked(wanted), *(not_(found) for found in obstacles.values()), not_(held))
        .order_by(by_name, func.random())
        .limit(1)
        # Whom another transaction is about to take, it can have.
        .with_for_update(of=Node.__table__, skip_locked=True)
    )
    node = session.execute(query).mappings().one_or_none()
    if node is not None:
        return Choice(ACTIVE, dict(node))
    return _nobody(session, wanted, {**obstacles, _HELD: held})


def _asked(wanted: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The nodes that are looked at in the first place."""
    conditions: list[ColumnElement[bool]] = [Node.resource_class == wanted["resource_class"]]
    if wanted.get("candidate_nodes"):
        conditions.append(Node.uuid.in_(wanted["candidate_nodes"]))
    return conditions


def _obstacles(wanted: Mapping[str, Any]) -> dict[str, ColumnElement[bool]]:
    """Why a node cannot be had, in the words of a sentence; the first that applies counts."""
    found: dict[str, ColumnElement[bool]] = {
        "in use": or_(Node.instance_uuid.is_not(None), Node.allocation_uuid.is_not(None)),
        "in maintenance": Node.maintenance.is_(True),
        "not in state available": Node.provision_state != states.AVAILABLE,
        "retired": Node.retired.is_(True),
        "of unknown power state": Node.power_state.is_(None),
        "with a fault": Node.fault.is_not(None),
    }
    if owner := wanted.get("owner"):
        found[f"neither owned by nor lent to {owner}"] = and_(
            func.coalesce(Node.owner, "") != owner, func.coalesce(Node.lessee, "") != owner
        )
    if traits := set(wanted.get("traits") or ()):
        found[f"without the traits {', '.join(sorted(traits))}"] = _count(traits) < len(traits)
    return found


def _count(traits: set[str]) -> Any:
    """How many of these traits a node has."""
    return (
        select(func.count())
        .select_from(NodeTrait)
        .where(NodeTrait.node_id == Node.id, NodeTrait.trait.in_(traits))
        .correlate(Node)
        .scalar_subquery()
    )


def _nobody(
    session: Session, wanted: Mapping[str, Any], reasons: Mapping[str, ColumnElement[bool]]
) -> Choice:
    """Why no node could be had: one statement that counts the nodes by the reason."""
    first = case(*((condition, why) for why, condition in reasons.items()), else_=_FREE)
    sorted_out = select(first.label("why")).where(*_asked(wanted)).subquery()
    query = select(sorted_out.c.why, func.count()).group_by(sorted_out.c.why)
    counts = {str(why): int(count) for why, count in session.execute(query)}
    # One that is free by now was being taken, or given back, by another transaction.
    counts[_HELD] = counts.get(_HELD, 0) + counts.pop(_FREE, 0)
    state = ALLOCATING if counts[_HELD] else ERROR
    return Choice(state, why=_sentence(wanted, {k: v for k, v in counts.items() if v}))


def _sentence(wanted: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    candidates = wanted.get("candidate_nodes")
    which = f"of the {len(candidates)} candidate nodes" if candidates else "of all nodes"
    kind = f"resource class {wanted['resource_class']}"
    if not counts:
        return f"None {which} has {kind}."
    reasons = ", ".join(f"{counts[why]} {why}" for why in sorted(counts))
    return f"{sum(counts.values())} {which} have {kind}, and none can be had: {reasons}."
