"""How an operation begins: lease, state, journal and events in one transaction.

Whatever refuses it raises there, and then nothing has changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from conductor import entries, report
from conductor.drivers.registry import Driver
from conductor.goodend import good_end
from conductor.plans import FLOWS
from conductor.task import Task
from conductor.toolbox import Toolbox
from conductor.wish import Wish
from drophammer import operations, purposes, trace
from drophammer.bus_answer import asked
from drophammer.errors import DrophammerError, LeaseLost, Unavailable
from drophammer.model import Node, Operation

LOG = logging.getLogger(__name__)
# Events that take the place of an operation that waits or is held.
_REPLACING = ("delete", "service")

Check = Callable[[Node], dict[str, Any]]
# A power request replaces one that is under way: nobody should have to sit a soft one out.
# The fence keeps the worker of the old one from writing and from switching. Whoever holds
# the node for something else keeps it: two must not talk to one controller.
_POWER_UNDER_WAY = (
    select(Operation.id)
    .where(
        Operation.id == Node.operation_id,
        Operation.flow == "power",
        Operation.finished_at.is_(None),
        or_(
            Node.lease_purpose == Operation.verb,
            # Not IN, which is written anew each time.
            *(Node.lease_purpose == purpose for purpose in purposes.TAKING_UP),
        ),
    )
    .correlate(Node)
    .exists()
)


def begin(
    box: Toolbox,
    node_id: int,
    *,
    verb: str,
    flow: str,
    event: str | None,
    request: dict[str, Any],
    check: Check,
    unsure: Callable[[Task], None] = lambda task: None,
) -> Task:
    """Take the node and start an operation on it; one that has nothing to do has ended then.

    ``check(node)`` raises when the node may not start this, and returns columns to
    be written with the start. It sees the node under the lease, as the plan does.
    ``unsure`` is given what may have begun or not, when the database cannot say.
    """
    store = box.store
    asking = asked()
    task: Task | None = None
    with _committed(lambda: task, unsure), store.write() as session:
        takes = _POWER_UNDER_WAY if flow == "power" else None
        lease, node = store.reserve_node(session, node_id, box.holder, verb, takes=takes)
        # Only now: who has the node's row waits no more, and whoever asked looks at it next.
        now = store.clock.now()
        asking.check(now)
        change: dict[str, Any] = check(node)
        for name, value in change.items():
            setattr(node, name, value)
        for _, refusal in refusals(session, box, node, flow, event):
            raise refusal
        older = _unfinished(session, node)
        if older is not None:
            told = report.account(older, node.provision_state, now)
            text = report.replaced(told, verb, request.get("user"))
            operations.give_up(session, older.id, text, now)
            target = node.target_provision_state
            entries.add(session, box, node, older, told, text, target=target)
        wish = Wish(session, node, Driver(box, node), request)
        kind = FLOWS[flow]
        steps = kind.plan(wish)
        request = {**request, **_asked_for(), "begun_in": node.provision_state}
        operation, journal = operations.create(
            session,
            node_id=node_id,
            verb=verb,
            flow=flow,
            request=request,
            steps=steps,
            now=now,
            uuid=asking.uuid,
        )
        session.expunge_all()
        task = Task(box, lease, node, operation, journal)
        change |= {"operation_id": operation.id, "last_error": None}
        task.write_start(session, event, change, target=kind.target)
        # What has nothing to do need not be taken up by anybody.
        arrive = None if steps else task.write_end(session, good_end(task))
    if event is not None:
        task.log(event)
    if arrive is not None:
        arrive()
    return task


@contextmanager
def _committed(
    task_of: Callable[[], Task | None], unsure: Callable[[Task], None]
) -> Iterator[None]:
    """Around the transaction: when the answer to its COMMIT is lost, ask what became of it.

    What stands is gone on with. Nobody else would: as long as this process lives it renews
    the lease.
    """
    try:
        yield
    except SQLAlchemyError:
        task = task_of()
        if task is None or not _stands(task, unsure):
            raise
        LOG.warning("node %s: the answer to a COMMIT was lost; it stands", task.node.uuid)


def _stands(task: Task, unsure: Callable[[Task], None]) -> bool:
    """Whether the operation was written. Waits for whoever is still at the node's row.

    The lease would not tell: if nothing was written, somebody else in this process may have
    one by now that looks the same.
    """
    try:
        with suppress(LeaseLost):
            task.confirm()
        with task.box.store.read() as session:
            return operations.exists(session, task.operation.uuid)
    except SQLAlchemyError:
        unsure(task)
        return False


@contextmanager
def once(box: Toolbox) -> Iterator[None]:
    """Around what begins an operation: a request that comes again is accepted again.

    Then its own operation is what stands in its way, and no error.
    """
    try:
        yield
    except (DrophammerError, IntegrityError):
        request = asked().uuid
        with box.store.read() as session:
            begun = operations.exists(session, request)
        if not begun:
            raise
        LOG.info("request %s has come again; it has been begun already", request)


def _asked_for() -> dict[str, str]:
    """The API's request that this is begun for, to be found again by whoever goes on with it."""
    return {"request_id": trace.request()} if trace.request() else {}


def refusals(
    session: Session, box: Toolbox, node: Node, flow: str, event: str | None
) -> Iterator[tuple[str, DrophammerError]]:
    """What of the work that is under way, here or elsewhere, stands in the way of more."""
    old = _unfinished(session, node)
    if old is not None and event not in _REPLACING and old.flow != "power":
        text = f"Node {node.uuid} still ends '{old.verb}'; try again."
        yield "operation", Unavailable(text)
    limit = _limit_reached(session, box, node, flow)
    if limit is not None:
        yield "limit", limit


def _unfinished(session: Session, node: Node) -> Operation | None:
    if node.operation_id is None:
        return None
    old = session.get(Operation, node.operation_id)
    return None if old is None or old.finished_at is not None else old


def _limit_reached(session: Session, box: Toolbox, node: Node, flow: str) -> Unavailable | None:
    """The refusal when as many of this kind are under way as may be."""
    kind = {"manual clean": "clean", "delete": "clean"}.get(flow, flow)  # Deleting ends with it.
    limits: dict[str, tuple[int, tuple[str, ...]]] = {
        "deploy": (box.settings.max_concurrent_deploy, ("deploy",)),
        "clean": (box.settings.max_concurrent_clean, ("clean", "manual clean", "delete")),
    }
    if kind not in limits:
        return None
    limit, flows = limits[kind]
    if operations.count_unfinished(session, flows, besides=node.id) < limit:
        return None
    return Unavailable(
        f"{limit} operations of kind '{kind}' are under way, which is the limit "
        f"([conductor] max_concurrent_{kind}); try again when one has ended."
    )
