"""How an operation begins: lease, state, journal and events in one transaction.

Whatever refuses it raises there, and then nothing has changed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from conductor.drivers.registry import Driver
from conductor.periodic import GOING_ON
from conductor.plans import FLOWS
from conductor.task import Task
from conductor.toolbox import Toolbox
from conductor.wish import Wish
from drophammer import operations
from drophammer.errors import Unavailable
from drophammer.model import Node, Operation

# Events that take the place of an operation that waits or is held.
_REPLACING = ("delete", "service")

# For what a node is held by who goes on with an operation, besides that operation's verb.
_TAKEN_UP = (GOING_ON, "deadline", "heartbeat", "inspection data")

Check = Callable[[Node], dict[str, Any]]


def begin(
    box: Toolbox,
    node_id: int,
    *,
    verb: str,
    flow: str,
    event: str | None,
    request: dict[str, Any],
    check: Check,
) -> Task:
    """Take the node and start an operation on it.

    ``check(node)`` raises when the node may not start this, and returns columns to
    be written with the start. It sees the node under the lease, as the plan does.
    """
    store = box.store
    now = store.clock.now()
    kind = FLOWS[flow]
    with store.write() as session:
        if flow == "power":
            _take_from_power_operation(session, node_id)
        lease, node = store.reserve_node(session, node_id, box.holder, verb)
        session.expunge(node)  # Only what is written by name is written.
        change: dict[str, Any] = check(node)
        for name, value in change.items():
            setattr(node, name, value)
        _replace_older(session, node, event, now)
        _limit(session, box, flow)
        wish = Wish(session, node, Driver(box, node), request)
        steps = kind.plan(wish)
        operation, journal = operations.create(
            session, node_id=node_id, verb=verb, flow=flow, request=request, steps=steps, now=now
        )
        session.expunge_all()
        task = Task(box, lease, node, operation, journal)
        change |= {"operation_id": operation.id, "last_error": None}
        task.write_start(session, event, change, target=kind.target)
    if event is not None:
        task.log(event)
    return task


def _replace_older(session: Session, node: Node, event: str | None, now: datetime.datetime) -> None:
    if node.operation_id is None:
        return
    old = session.get(Operation, node.operation_id)
    if old is None or old.finished_at is not None:
        return
    if event not in _REPLACING and old.flow != "power":
        raise Unavailable(f"Node {node.uuid} still ends '{old.verb}'; try again.")
    operations.give_up(session, old.id, now)


def _take_from_power_operation(session: Session, node_id: int) -> None:
    """A power request replaces one that is under way: nobody should have to sit a soft one out.

    The fence keeps the worker of the old one from writing and from switching. Whoever
    holds the node for something else keeps it: two must not talk to one controller.
    """
    old = (
        select(Operation.id)
        .where(
            Operation.id == Node.operation_id,
            Operation.flow == "power",
            Operation.finished_at.is_(None),
            or_(Node.lease_purpose == Operation.verb, Node.lease_purpose.in_(_TAKEN_UP)),
        )
        .exists()
    )
    session.execute(
        update(Node)
        .where(Node.id == node_id, old)
        .values(lease_owner=None)
        .execution_options(synchronize_session=False)
    )


def _limit(session: Session, box: Toolbox, flow: str) -> None:
    """Raise Unavailable when as many of this kind are under way as may be."""
    kind = {"manual clean": "clean", "delete": "clean"}.get(flow, flow)  # Deleting ends with it.
    limits: dict[str, tuple[int, tuple[str, ...]]] = {
        "deploy": (box.settings.max_concurrent_deploy, ("deploy",)),
        "clean": (box.settings.max_concurrent_clean, ("clean", "manual clean", "delete")),
    }
    if kind not in limits:
        return
    limit, flows = limits[kind]
    if operations.count_unfinished(session, flows) >= limit:
        raise Unavailable(
            f"{limit} operations of kind '{kind}' are under way, which is the limit "
            f"([conductor] max_concurrent_{kind}); try again when one has ended."
        )
