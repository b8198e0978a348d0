"""What is found by looking at the rows: work whose worker is gone, machines that did not come
up, nodes past their deadline.

Any conductor may find each. Work goes on with whoever has the node's driver and is in
its conductor group. A deadline is kept by all of them: where no conductor that runs could
reach the machine, the state machine takes the node to its end without it.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import and_, not_, or_, select, update

from conductor import failures
from conductor.flows import Runner
from conductor.steps.ramdisk import is_lost
from conductor.task import Task, tell_transition
from conductor.toolbox import Toolbox
from conductor.transitions import WORKING_SECONDS, deadline, transition
from drophammer import conductors, operations, purposes, states
from drophammer.model import Agent, Node, Operation, Step

LOG = logging.getLogger(__name__)

# Work that is not waiting for anybody's word: somebody should be at it.
_GOING = tuple(state for state in operations.UNFINISHED if state != operations.WAITING)
_NO_OPERATION = (
    "The node was in state '{state}' without an operation that could have brought it on. "
    "It is ended as failed; its machine has not been touched."
)


class Sweeps:
    """Looks for all of them. Each look is a few statements, however many nodes there are."""

    def __init__(self, box: Toolbox, runner: Runner) -> None:
        self._box = box
        self._runner = runner
        self._timing_out: set[int] = set()

    def orphans(self, *, first: bool = False) -> None:
        """Go on with what nobody works on any more.

        The ``first`` look also finds nodes whose ramdisk spoke since they wait: that may
        have been said to nobody.
        """
        if first:
            self._give_time()
        for node_id in dict.fromkeys(self._found(first)):
            self._runner.nudge(
                partial(Task.resume, self._box, node_id, purposes.GOING_ON, gently=True)
            )

    def _give_time(self) -> None:
        """Work that nobody could do, for no conductor was there, has its time anew.

        Without this what was cut off when the last one stopped would be ended as late.
        """
        store = self._box.store
        now = store.clock.now()
        left = select(Operation.id).where(_WORK, Operation.state == operations.RUNNING).exists()
        with store.write() as session:
            session.execute(
                update(Node)
                .where(
                    Node.deadline < now,
                    or_(Node.lease_owner.is_(None), Node.lease_expires < now),
                    left,
                )
                .values(deadline=now + datetime.timedelta(seconds=WORKING_SECONDS))
                .execution_options(synchronize_session=False)
            )

    def lost_boots(self) -> None:
        """Boot machines again whose ramdisk should have spoken by now."""
        settings, now = self._box.settings, self._box.store.clock.now()
        with self._box.store.read() as session:
            rows = session.execute(_silent(now, settings.boot_retry_timeout)).all()
        for row in rows:
            if self._is_ours(row) and is_lost(settings, row.cursor, now):
                self._runner.nudge(
                    partial(Task.resume, self._box, row.id, purposes.GOING_ON, gently=True)
                )

    def overdue(self) -> None:
        """End what is past its deadline, in maintenance too."""
        now = self._box.store.clock.now()
        rows = self._past_deadline(now)
        served = self._served(now) if any(not self._is_ours(row) for row in rows) else set()
        for row in rows:
            ours = self._is_ours(row)
            if row.id in self._timing_out or (
                not ours and (row.conductor_group, row.driver) in served
            ):
                continue
            if not self._postponed(row, now):
                self._begin(row.id, unserved=not ours)

    # Work whose worker is gone

    def _found(self, first: bool) -> Iterator[int]:
        now = self._box.store.clock.now()
        with self._box.store.read() as session:
            yield from self._ours(session.execute(_left(now)))
            yield from self._ours(session.execute(_run_out(now)))
            yield from session.scalars(_held_for_nothing(now))
            if first:
                yield from self._ours(session.execute(_heard(now)))

    def _ours(self, rows: Iterable[Any]) -> Iterator[int]:
        # Not asked of the database: an index on drivers would look better to it than the
        # ones that lead to the few rows that are wanted.
        return (row.id for row in rows if self._is_ours(row))

    def _is_ours(self, row: Any) -> bool:
        settings = self._box.settings
        return (
            row.driver in settings.hardware_types
            and row.conductor_group == settings.conductor_group.lower()
        )

    # Deadlines

    def _past_deadline(self, now: datetime.datetime) -> Sequence[Any]:
        query = (
            select(
                Node.id,
                Node.driver,
                Node.conductor_group,
                Node.provision_state,
                Node.provision_updated_at,
                Node.updated_at,
                Node.deadline,
                Operation.state.label("work"),
            )
            .outerjoin(Operation, Operation.id == Node.operation_id)
            .where(Node.deadline < now)
        )
        with self._box.store.read() as session:
            return session.execute(query).all()

    def _served(self, now: datetime.datetime) -> set[tuple[str, str]]:
        """(group, driver) of what the conductors that run can drive."""
        since = now - datetime.timedelta(seconds=self._box.store.lease_seconds)
        with self._box.store.read() as session:
            found = conductors.alive(session, since)
        return {(one.conductor_group, driver) for one in found for driver in one.hardware_types}

    def _postponed(self, row: Any, now: datetime.datetime) -> bool:
        """Whether the ramdisk's signs of life give the node more time; the row has it then.

        Most beats bring a visit of the step, and that puts the deadline off. Not so in
        maintenance, or when no conductor heard them.
        """
        listens = row.provision_state in states.WAITING - {states.INSPECT_WAIT}
        if not listens or row.work in operations.ENDING or not _beat_since_written(row):
            return False
        later = deadline(self._box.settings, row.provision_state, row.provision_updated_at)
        if later is not None and later < now:
            return False
        with self._box.store.write() as session:
            session.execute(
                update(Node)
                .where(Node.id == row.id, Node.deadline == row.deadline)
                .values(deadline=later)
                .execution_options(synchronize_session=False)
            )
        return True

    def _begin(self, node_id: int, *, unserved: bool) -> None:
        self._timing_out.add(node_id)
        self._runner.nudge(partial(self._time_out, node_id, unserved))

    def _time_out(self, node_id: int, unserved: bool) -> Task | None:
        self._timing_out.discard(node_id)
        task = Task.resume(self._box, node_id, purposes.DEADLINE, seize=True)
        if task is None:
            self._settle(node_id)
        else:
            self._runner.guarded(task, failures.give_up if unserved else failures.time_out)
        return None

    def _settle(self, node_id: int) -> None:
        """A deadline without an operation: at rest it means nothing, elsewhere it is the end."""
        store = self._box.store
        with store.write() as session:
            node = session.get(Node, node_id)
            if node is None or _works(session.get(Operation, node.operation_id or 0)):
                return
            if states.is_resting(node.provision_state):
                node.deadline = None
                return
            lease, node = store.reserve_node(session, node_id, self._box.holder, purposes.DEADLINE)
            event = "fail" if states.has_event(node.provision_state, "fail") else "abort"
            change = transition(node, event, store.clock.now())
            text = _NO_OPERATION.format(state=node.provision_state)
            task = Task(self._box, lease, node, Operation())
            tell_transition(task, session, event, change["provision_state"])
            task.tell(session, "error", text)
            store.release(session, lease, {**change, "deadline": None, "last_error": text})


def _beat_since_written(row: Any) -> bool:
    """Whether the last to write to a node was a heartbeat, which writes this one moment only."""
    beat, written = row.provision_updated_at, row.updated_at
    return beat is not None and written is not None and bool(beat > written)


def _works(operation: Operation | None) -> bool:
    return operation is not None and operation.finished_at is None


_WHERE = (Node.id, Node.driver, Node.conductor_group)
_WORK = and_(Operation.id == Node.operation_id, Operation.finished_at.is_(None))


def _left(now: datetime.datetime) -> Any:
    """Nodes with work under way that nobody holds: given back by a conductor that stopped."""
    return (
        select(*_WHERE)
        .join(Operation, _WORK)
        .where(
            Operation.state.in_(_GOING),
            or_(Node.lease_owner.is_(None), Node.lease_expires < now),
            not_(_RESTS),
        )
    )


# As ``Task.resume`` leaves them alone "gently".
_RESTS = and_(
    Operation.abort_requested.is_(False),
    Operation.state.not_in(operations.ENDING),
    or_(
        Node.provision_state.in_(states.HOLDING),
        and_(Node.provision_state.in_(states.WAITING), Node.maintenance.is_(True)),
    ),
)


def _run_out(now: datetime.datetime) -> Any:
    """Nodes with unfinished work whose holder is dead, or stands still."""
    return select(*_WHERE).join(Operation, _WORK).where(*_expired(now))


def _held_for_nothing(now: datetime.datetime) -> Any:
    """Nodes without work whose holder is dead: they are only to be given back."""
    return select(Node.id).outerjoin(Operation, _WORK).where(*_expired(now), Operation.id.is_(None))


def _expired(now: datetime.datetime) -> tuple[Any, ...]:
    # Greater than nothing at all: what an index of mostly empty values can find on sqlite.
    return Node.lease_owner > "", Node.lease_expires < now


def _silent(now: datetime.datetime, seconds: float) -> Any:
    """Nodes that have waited so long at least for the first word of their ramdisk."""
    return (
        select(*_WHERE, Step.cursor)
        .join(Operation, _WORK)
        .join(Step, and_(Step.operation_id == Operation.id, Step.position == Operation.position))
        .outerjoin(Agent, Agent.node_id == Node.id)
        .where(
            Node.provision_state.in_(states.WAITING),
            Node.maintenance.is_(False),
            Node.lease_owner.is_(None),
            Operation.state == operations.WAITING,
            Operation.abort_requested.is_(False),
            Step.started_at < now - datetime.timedelta(seconds=seconds),
            Agent.url.is_(None),
        )
    )


def _heard(now: datetime.datetime) -> Any:
    """Nodes that wait, and whose ramdisk spoke after they were given back."""
    return (
        select(*_WHERE)
        .join(Operation, _WORK)
        .join(Agent, Agent.node_id == Node.id)
        .where(
            Node.provision_state.in_(states.WAITING),
            Agent.last_beat >= Node.updated_at,
            or_(Node.lease_owner.is_(None), Node.lease_expires < now),
        )
    )
