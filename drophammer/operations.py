"""Queries on operations and their steps: the journal of work."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, select, update
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
    agent, user. Highest ``priority`` first; the conductor's own steps keep their
    place in the list.
    """

    interface: str
    step: str
    priority: int = 0
    source: str = "driver"
    args: dict[str, Any] = field(default_factory=dict)
    abortable: bool = False
    reboot_requested: bool = False

    def row(self, operation_id: int, position: int) -> Step:
        """The step as a journal row."""
        return Step(
            operation_id=operation_id,
            position=position,
            interface=self.interface,
            step=self.step,
            priority=self.priority,
            source=self.source,
            args=self.args,
            abortable=self.abortable,
            reboot_requested=self.reboot_requested,
            state=PENDING,
        )


def create(
    session: Session,
    *,
    node_id: int,
    verb: str,
    flow: str,
    request: dict[str, Any],
    steps: Sequence[StepSpec],
    now: datetime.datetime,
) -> Operation:
    """A new running operation with its steps in the given order."""
    operation = Operation(
        uuid=new_uuid(),
        node_id=node_id,
        verb=verb,
        flow=flow,
        state=RUNNING,
        request=request,
        created_at=now,
    )
    session.add(operation)
    session.flush()
    session.add_all(spec.row(operation.id, position) for position, spec in enumerate(steps))
    session.flush()
    return operation


def step_at(session: Session, operation_id: int, position: int) -> Step | None:
    """The step that is due, or None past the end."""
    return session.scalars(
        select(Step).where(Step.operation_id == operation_id, Step.position == position)
    ).one_or_none()


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


def insert_after(
    session: Session, operation_id: int, position: int, specs: Sequence[StepSpec]
) -> None:
    """Replace whatever is pending of the same sources behind ``position`` by ``specs``.

    Used when the ramdisk has told which steps it offers. Told twice (it was
    rebooted), the list stays the same length.
    """
    sources = {spec.source for spec in specs}
    if sources:
        session.execute(
            delete(Step).where(
                Step.operation_id == operation_id,
                Step.position > position,
                Step.state == PENDING,
                Step.source.in_(sources),
            )
        )
    behind = session.scalars(
        select(Step)
        .where(Step.operation_id == operation_id, Step.position > position)
        .order_by(Step.position)
    ).all()
    for offset, step in enumerate(behind):
        step.position = position + 1 + len(specs) + offset
    session.flush()
    session.add_all(
        spec.row(operation_id, position + 1 + offset) for offset, spec in enumerate(specs)
    )


def set_values(session: Session, operation_id: int, values: dict[str, Any]) -> None:
    """Write columns of an operation."""
    session.execute(update(Operation).where(Operation.id == operation_id).values(**values))


def set_step(session: Session, step_id: int, values: dict[str, Any]) -> None:
    """Write columns of a step."""
    session.execute(update(Step).where(Step.id == step_id).values(**values))


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
