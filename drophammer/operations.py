"""Queries on operations and their steps: the journal of work."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from drophammer.model import Operation, Step, new_uuid

RUNNING, WAITING, DONE, FAILED, ABORTED = "running", "waiting", "done", "failed", "aborted"
PENDING = "pending"
UNFINISHED = (RUNNING, WAITING)


@dataclass(frozen=True)
class StepSpec:
    """One step as it is planned.

    ``interface`` is a driver interface, or "conductor" for what the service does
    around the driver's steps. ``source`` is where the step comes from: driver,
    agent, template, user. Highest ``priority`` first, 0 only when somebody names the
    step; the conductor's own steps keep their place in the list.

    ``argsinfo`` and ``requires_ramdisk`` describe a step on offer and are not
    journalled: per argument {"description": text, "required": bool}, and whether the
    step can only run while the ramdisk does.
    """

    interface: str
    step: str
    priority: int = 0
    source: str = "driver"
    args: dict[str, Any] = field(default_factory=dict)
    abortable: bool = False
    reboot_requested: bool = False
    argsinfo: Mapping[str, Any] = field(default_factory=dict)
    requires_ramdisk: bool = False

    def row(self, operation_id: int, position: int) -> dict[str, Any]:
        """The step as the columns of a journal row."""
        return {
            "operation_id": operation_id,
            "position": position,
            "interface": self.interface,
            "step": self.step,
            "priority": self.priority,
            "source": self.source,
            "args": self.args,
            "abortable": self.abortable,
            "reboot_requested": self.reboot_requested,
            "state": PENDING,
            "cursor": {},
            "result": {},
            "error": None,
            "started_at": None,
            "finished_at": None,
        }


def create(
    session: Session,
    *,
    node_id: int,
    verb: str,
    flow: str,
    request: dict[str, Any],
    steps: Sequence[StepSpec],
    now: datetime.datetime,
) -> tuple[Operation, list[Step]]:
    """A new running operation with its steps in the given order, the first one begun.

    Begun in the same transaction: whether a worker has visited it already is not
    told by that, but by what it has noted.
    """
    operation = Operation(
        uuid=new_uuid(),
        node_id=node_id,
        verb=verb,
        flow=flow,
        state=RUNNING,
        position=0,
        request=request,
        abort_requested=False,
        error=None,
        created_at=now,
        updated_at=None,
        finished_at=None,
    )
    session.add(operation)
    session.flush()
    journal = [spec.row(operation.id, position) for position, spec in enumerate(steps)]
    if journal:
        journal[0] |= {"state": RUNNING, "started_at": now}
        session.execute(insert(Step), journal)
    return operation, [Step(**row) for row in journal]


def steps_of(session: Session, operation_ids: Sequence[int]) -> Sequence[Step]:
    """All steps of some operations, in order."""
    return session.scalars(
        select(Step)
        .where(Step.operation_id.in_(operation_ids))
        .order_by(Step.operation_id, Step.position)
    ).all()


def of_node(session: Session, node_id: int, limit: int) -> Sequence[Operation]:
    """The newest operations of a node, newest first."""
    return session.scalars(
        select(Operation)
        .where(Operation.node_id == node_id)
        .order_by(Operation.id.desc())
        .limit(limit)
    ).all()


def replan(session: Session, operation_id: int, position: int, specs: Sequence[StepSpec]) -> None:
    """Let exactly ``specs`` follow on ``position``, in place of what was planned there."""
    session.execute(delete(Step).where(Step.operation_id == operation_id, Step.position > position))
    if specs:
        rows = [spec.row(operation_id, position + 1 + n) for n, spec in enumerate(specs)]
        session.execute(insert(Step), rows)


def set_values(session: Session, operation_id: int, values: dict[str, Any]) -> None:
    """Write columns of an operation."""
    session.execute(update(Operation).where(Operation.id == operation_id).values(**values))


def set_step(session: Session, step: Step, values: dict[str, Any]) -> None:
    """Write columns of a step."""
    session.execute(
        update(Step)
        .where(Step.operation_id == step.operation_id, Step.position == step.position)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def request_abort(session: Session, operation_id: int) -> None:
    """Have the operation end after its present step."""
    set_values(session, operation_id, {"abort_requested": True})


def give_up(session: Session, operation_id: int, now: datetime.datetime) -> None:
    """End an operation in whose place another one begins, with the step that it was in."""
    session.execute(
        update(Step)
        .where(Step.operation_id == operation_id, Step.state == RUNNING)
        .values(state=FAILED, error="Given up for another operation.", finished_at=now)
    )
    set_values(session, operation_id, {"state": ABORTED, "finished_at": now})


def count_unfinished(session: Session, flows: Sequence[str]) -> int:
    """How many operations of some flows are under way, for the concurrency limits."""
    query = select(func.count()).where(Operation.flow.in_(flows), Operation.state.in_(UNFINISHED))
    return session.execute(query).scalar_one()
