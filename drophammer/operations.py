"""Queries on operations and their steps: the journal of work."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, false, func, insert, or_, select, update
from sqlalchemy.orm import Session

from drophammer import direct, prepared
from drophammer.errors import NotFound
from drophammer.model import Operation, Step, new_uuid

RUNNING, WAITING, DONE, FAILED, ABORTED = "running", "waiting", "done", "failed", "aborted"
# It has gone wrong, or has been broken off: only what comes after is still to be done.
FAILING, ABORTING = "failing", "aborting"
PENDING = "pending"
ENDING = (FAILING, ABORTING)
# What data may be destroyed on.
ALL_DISKS, ROOT_DEVICE, RAID_VOLUMES = "all disks", "root device", "RAID volumes"
UNFINISHED = (RUNNING, WAITING, *ENDING)


# Not the classes: statements on them go through the ORM, which is twice as slow.
_STEPS: Any = Step.__table__

_OPERATIONS: Any = Operation.__table__
_INSERT_OPERATION = insert(_OPERATIONS).returning(_OPERATIONS.c.id)
PROGRESS = ("progress_done", "progress_total", "progress_message", "progress_at")
_SET_PROGRESS = (
    update(_OPERATIONS)
    .where(_OPERATIONS.c.id == bindparam("of"))
    .values({name: bindparam(name) for name in PROGRESS})
)


@dataclass(frozen=True)
class StepSpec:
    """One step as it is planned.

    ``interface`` is a driver interface, or "conductor" for what the service does
    around the driver's steps. ``cursor`` is what it is noted to have done or meant to do
    as it begins. ``source`` is where the step comes from: driver,
    agent, template, user. Highest ``priority`` first, 0 only when somebody names the
    step; the conductor's own steps keep their place in the list.

    The rest describes a step to those who plan and is not journalled. ``argsinfo``: per
    argument {"description": text, "required": bool}. ``requires_ramdisk``: it can only run
    while the ramdisk does. ``destroys``: on what it destroys data, such as ALL_DISKS.
    ``origin``: the name of the template that the step is from.
    """

    interface: str
    step: str
    priority: int = 0
    source: str = "driver"
    args: dict[str, Any] = field(default_factory=dict)
    abortable: bool = False
    reboot_requested: bool = False
    cursor: Mapping[str, Any] = field(default_factory=dict)
    argsinfo: Mapping[str, Any] = field(default_factory=dict)
    requires_ramdisk: bool = False
    destroys: str = ""
    origin: str = ""

    @classmethod
    def of(cls, step: Step) -> StepSpec:
        """What the journal knows of a step that was planned."""
        return cls(
            step.interface,
            step.step,
            step.priority,
            step.source,
            step.args,
            abortable=step.abortable,
            reboot_requested=step.reboot_requested,
        )

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
            "cursor": dict(self.cursor),
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
    uuid: str | None = None,
) -> tuple[Operation, list[Step]]:
    """A new running operation with its steps in the given order, the first one begun.

    Begun in the same transaction: whether a worker has visited it already is not
    told by that, but by what it has noted. ``uuid``: of the request that it is for.
    """
    row = {
        "uuid": uuid or new_uuid(),
        "node_id": node_id,
        "verb": verb,
        "flow": flow,
        "state": RUNNING,
        "position": 0,
        "request": request,
        "abort_requested": False,
        "error": None,
        "created_at": now,
        "updated_at": None,
        "finished_at": None,
    }
    [told] = direct.rows(session, _INSERT_OPERATION, row)
    operation_id = told["id"]
    operation = Operation(id=operation_id, **row)
    journal = [spec.row(operation_id, position) for position, spec in enumerate(steps)]
    if journal:
        journal[0] |= {"state": RUNNING, "started_at": now}
        direct.insert_all(session, _STEPS, journal)
    return operation, [Step(**row) for row in journal]


def exists(session: Session, uuid: str) -> bool:
    """Whether there is an operation of this UUID."""
    return session.scalar(select(Operation.id).where(Operation.uuid == uuid)) is not None


def steps_of(session: Session, operation_ids: Sequence[int]) -> Sequence[Step]:
    """All steps of some operations, in order."""
    return session.scalars(
        select(Step)
        .where(Step.operation_id.in_(operation_ids))
        .order_by(Step.operation_id, Step.position)
    ).all()


def of_node(
    session: Session, node_id: int, limit: int, marker: str | None = None
) -> Sequence[Operation]:
    """The newest operations of a node, newest first; those before that of the UUID ``marker``.

    Raises NotFound when the node has had no such operation.
    """
    query = select(Operation).where(Operation.node_id == node_id)
    if marker is not None:
        place = session.scalars(
            select(Operation.id).where(Operation.uuid == marker, Operation.node_id == node_id)
        ).one_or_none()
        if place is None:
            raise NotFound(f"This node has had no operation {marker}.")
        query = query.where(Operation.id < place)
    return session.scalars(query.order_by(Operation.id.desc()).limit(limit)).all()


def replan(session: Session, operation_id: int, position: int, specs: Sequence[StepSpec]) -> None:
    """Let exactly ``specs`` follow on ``position``, in place of what was planned there."""
    session.execute(delete(Step).where(Step.operation_id == operation_id, Step.position > position))
    if specs:
        rows = [spec.row(operation_id, position + 1 + n) for n, spec in enumerate(specs)]
        direct.insert_all(session, _STEPS, rows)


def set_values(session: Session, operation_id: int, values: dict[str, Any]) -> None:
    """Write columns of an operation."""
    prepared.write(session, _OPERATIONS, {"id": operation_id}, values)


def set_progress(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write how far operations have got: ``of`` is an operation's id, the rest its columns."""
    if rows:
        session.execute(_SET_PROGRESS, rows)


def set_step(session: Session, step: Step, values: dict[str, Any]) -> None:
    """Write columns of a step."""
    which = {"operation_id": step.operation_id, "position": step.position}
    prepared.write(session, _STEPS, which, values)


def set_steps(session: Session, changes: Sequence[tuple[Step, Mapping[str, Any]]]) -> None:
    """Write columns of several steps of one operation."""
    for step, values in changes:
        set_step(session, step, dict(values))


def request_abort(session: Session, operation_id: int, request: dict[str, Any]) -> None:
    """Have the operation end after its present step; ``request`` says besides who wants that.

    Nor does it wait any more, for whoever looks for work that nobody does.
    """
    values = {"abort_requested": True, "request": request, "state": RUNNING}
    set_values(session, operation_id, values)


def wake(session: Session, node_id: int) -> None:
    """Let the node's operation not wait any more: what it waited for has been written."""
    session.execute(
        update(Operation)
        .where(Operation.node_id == node_id, Operation.state == WAITING)
        .values(state=RUNNING)
        .execution_options(synchronize_session=False)
    )


def give_up(session: Session, operation_id: int, text: str, now: datetime.datetime) -> None:
    """End an operation in whose place another one begins, with the step that it was in.

    ``text`` says so.
    """
    session.execute(
        update(Step)
        .where(Step.operation_id == operation_id, Step.state == RUNNING)
        .values(state=FAILED, error=text, finished_at=now)
    )
    set_values(session, operation_id, {"state": ABORTED, "error": text, "finished_at": now})


@lru_cache(maxsize=16)
def _count_unfinished(flows: tuple[str, ...]) -> Select[int]:
    # Not IN, which is written anew each time.
    columns = _OPERATIONS.c
    return select(func.count().label("unfinished")).where(
        or_(false(), *(columns.flow == flow for flow in flows)),
        or_(*(columns.state == state for state in UNFINISHED)),
        columns.node_id != bindparam("besides"),
    )


def count_unfinished(session: Session, flows: Sequence[str], *, besides: int) -> int:
    """How many operations of some flows are under way on nodes ``besides`` one."""
    query = _count_unfinished(tuple(flows))
    [told] = direct.rows(session, query, {"besides": besides})
    return int(told["unfinished"])
