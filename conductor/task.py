"""A node under a lease, with its driver and the operation that is being worked on.

The only place that fires events of the state machine. Each change of state is
one transaction: the new state, the journal, the event for people, and, where
the node is given back, the release of the lease.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from conductor import entries, metrics, report
from conductor.journal import Journal
from conductor.outcomes import Done
from conductor.toolbox import Toolbox
from conductor.transitions import WORKING_SECONDS, Place, deadline, shown, transition
from drophammer import operations, states
from drophammer.model import Agent, Operation, Step
from drophammer.store import CLEAN_UP_SECONDS

Ended = tuple[Step, Done]
"""A step that is done, and its answer, which nobody has journalled yet."""


@dataclass(frozen=True)
class Move:
    """An event of the state machine, and the columns of the node that it changes."""

    event: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """How an operation ends: as ``state``, along ``events``, with ``values`` for the node.

    ``last`` are the steps that were done last, if that is not journalled yet.
    """

    events: Sequence[str]
    state: str
    values: dict[str, Any]
    error: str | None = None
    last: Sequence[Ended] = ()


class Task(Journal):
    """Exclusive work on one node: the operation that is under way on it, and where it leads."""

    @classmethod
    def resume(
        cls,
        box: Toolbox,
        node_id: int,
        purpose: str,
        *,
        seize: bool = False,
        gently: bool = False,
    ) -> Task | None:
        """Take the node and its unfinished operation; None when there is none any more.

        Raises NodeLocked. ``seize`` takes the lease from whoever holds it, if the
        node is past its deadline; ``gently`` leaves nodes alone that are held for the
        operator, or that wait while they are in maintenance.
        """
        with box.store.write() as session:
            take = box.store.seize if seize else box.store.reserve_node
            taken = take(session, node_id, box.holder, purpose)
            if taken is None:
                return None
            lease, node = taken
            operation = (
                session.get(Operation, node.operation_id) if node.operation_id is not None else None
            )
            ended = operation is None or operation.finished_at is not None
            if operation is None or ended or (gently and rests(node, operation)):
                box.store.release(session, lease)
                return None
            session.expunge_all()
        return cls(box, lease, node, operation)

    def write_start(
        self, session: Session, event: str | None, values: dict[str, Any], *, target: str | None
    ) -> None:
        """Write what an operation begins with: the change of state, the first step shown."""
        change = values
        if event is not None:
            (move,) = self._moves(session, [event], values, target=target)
            change = {"target_power_state": None, **values, **move.values}
        else:
            # A reboot may take the operator's own time-out twice: off, and on again.
            patience = 2 * float(self.operation.request.get("timeout") or 0)
            change["deadline"] = self.now() + datetime.timedelta(seconds=WORKING_SECONDS + patience)
        first = self.step()
        if first is not None:
            change |= shown(change.get("provision_state", self.node.provision_state), first)
            self._tell_step(session, first)
        self.write(session, change)
        self.know(change)

    def start_step(self, step: Step) -> None:
        """Journal that the step runs, and show it on the node."""
        if step.state == operations.RUNNING:
            return
        now = self.now()
        values = shown(self.node.provision_state, step)
        with self.box.store.write() as session:
            self.write(session, values)
            operations.set_step(session, step, _begun(now))
            self._tell_step(session, step)
        step.state, step.started_at = operations.RUNNING, now
        self.know(values)

    def following(self, step: Step) -> Step | None:
        """The step that is planned right behind ``step``."""
        return self._at(step.position + 1)

    def advance(self, ended: Sequence[Ended]) -> bool:
        """Journal that steps are done and that the next one has begun, in one transaction.

        False, and nothing is written, when there is no next one: ``end`` does it then.
        """
        position = ended[-1][0].position + 1
        following = self._at(position)
        if following is None:
            return False
        now = self.now()
        starts = not self.operation.abort_requested
        change = values_of(ended)
        with self.box.store.write() as session:
            moves = self._moves(session, self.events(ended), change)
            if not moves and self.node.provision_state in states.WORKING:
                # It is one step that may hang, not a long list of them.
                change["deadline"] = self._deadline(self.node.provision_state)
            change |= _merged(moves)
            if starts:
                state = change.get("provision_state", self.node.provision_state)
                change |= shown(state, following)
            self.write(session, change)
            journal = self._journalled(session, ended, now)
            if starts:
                journal.append((following, _begun(now)))
                self._tell_step(session, following)
            operations.set_steps(session, journal)
            operations.set_values(
                session,
                self.operation.id,
                {
                    "position": position,
                    "state": operations.RUNNING,
                    "updated_at": now,
                    **dict.fromkeys(operations.PROGRESS),
                },
            )
        self.operation.position = position
        if starts:
            following.state, following.started_at = operations.RUNNING, now
        self._arrived(change, moves, ended, now)
        return True

    def events(self, ended: Sequence[Ended]) -> list[str]:
        """Where steps that are done take the node; one that waits goes on, whatever it was for."""
        found = [done.event for _, done in ended]
        if self.node.provision_state in states.WAITING:
            found[:1] = ["resume"]
        return [event for event in found if event is not None]

    def give_way(self, step: Step, error: str, specs: list[operations.StepSpec]) -> None:
        """Stop at ``step`` because of ``error`` and take the way back that ``specs`` is.

        The operation ends as aborted when that is done.
        """
        now = self.now()
        position = step.position + 1
        with self.box.store.write() as session:
            self.write(session, {})
            operations.set_step(session, step, _failed(error, now))
            operations.replan(session, self.operation.id, step.position, specs)
            operations.set_values(
                session,
                self.operation.id,
                {"position": position, "abort_requested": False, "error": error, "updated_at": now},
            )
        self.operation.position, self.operation.error = position, error
        self.operation.abort_requested = False
        self._journal = None

    def fire(self, event: str) -> None:
        """Take the node along ``event`` and keep it."""
        with self.box.store.write() as session:
            moves = self._moves(session, [event], {})
            self.write(session, _merged(moves))
            operations.set_values(session, self.operation.id, {"state": operations.RUNNING})
        self._arrived(_merged(moves), moves)

    def wait(self) -> bool:
        """Give the node back until its ramdisk speaks, if it has not spoken meanwhile.

        Returns False, and keeps the node, when a heartbeat came since ``agent()``
        was last read: the answer that is about to be waited for may be in it.
        The agent's row is locked first, so that a heartbeat is either seen here
        or finds the node waiting.
        """
        state = self.node.provision_state
        with self.box.store.write() as session:
            beats = session.execute(
                select(Agent.beats).where(Agent.node_id == self.node.id).with_for_update()
            ).scalar_one_or_none()
            if beats is not None and beats != self.beats:
                return False
            waiting = state if state in states.WAITING else states.next_state(state, "wait")
            change = {"deadline": self._deadline(waiting)}
            moves = self._moves(session, [] if state == waiting else ["wait"], change)
            change |= _merged(moves)
            operations.set_values(session, self.operation.id, {"state": operations.WAITING})
            self.box.store.release(session, self.lease, {**change, "updated_at": self.now()})
        self._arrived(change, moves)
        return True

    def hold(self, step: Step) -> None:
        """Give the node back until the operator lets it go on; ``step`` knows that it held."""
        change: dict[str, Any] = {"deadline": None}
        holding = self.node.provision_state in states.HOLDING
        with self.box.store.write() as session:
            moves = self._moves(session, [] if holding else ["hold"], change)
            change |= _merged(moves)
            self.journal_note(session, step, held=True)
            operations.set_values(session, self.operation.id, {"state": operations.WAITING})
            self.box.store.release(session, self.lease, {**change, "updated_at": self.now()})
        self._arrived(change, moves)

    def begin_end(self, state: str, step: Step | None, error: str) -> None:
        """Journal that it ends badly, at ``step`` and because of ``error``; one transaction.

        From here on nobody visits the step again: who takes the operation up only brings
        it to its end (``state``: failing or aborting). That has a deadline of its own.
        """
        now = self.now()
        change = {"deadline": now + datetime.timedelta(seconds=CLEAN_UP_SECONDS)}
        with self.box.store.write() as session:
            self.write(session, change)
            if step is not None:
                operations.set_step(session, step, _failed(error, now))
            values = {"state": state, "error": error, "updated_at": now}
            operations.set_values(session, self.operation.id, values)
        self.know(change)
        self.operation.state, self.operation.error = state, error
        if step is not None:
            metrics.step_ended(step, operations.FAILED, now)
            step.state, step.error, step.finished_at = operations.FAILED, error, now

    def end(self, how: Ending) -> None:
        """Finish the operation and give the node back, in one transaction."""
        with self.box.store.write() as session:
            arrive = self.write_end(session, how)
        arrive()

    def write_end(self, session: Session, how: Ending) -> Callable[[], None]:
        """The same in the caller's transaction. What is returned is called after it."""
        now = self.now()
        change: dict[str, Any] = {
            "operation_id": None,
            "deadline": None,
            "clean_step": {},
            "deploy_step": {},
            "service_step": {},
            **how.values,
        }
        moves = self._moves(session, how.events, change)
        change |= _merged(moves)
        state_after = change.get("provision_state", self.node.provision_state)
        told = report.account(self.operation, state_after, now)
        if how.error is not None:
            change["last_error"] = how.error
            self.tell(session, "error", how.error, told)
        # First, as everywhere: two that take rows in different orders wait for each other.
        self.box.store.release(session, self.lease, {**change, "updated_at": now})
        if how.last:
            operations.set_steps(session, self._journalled(session, how.last, now))
        operations.set_values(
            session,
            self.operation.id,
            {
                "state": how.state,
                "error": how.error,
                "position": self.operation.position + len(how.last),
                "updated_at": now,
                "finished_at": now,
                **dict.fromkeys(operations.PROGRESS),
            },
        )
        entries.add(
            session,
            self.box,
            self.node,
            self.operation,
            told,
            how.error or report.success(told),
            target=change.get("target_provision_state", self.node.target_provision_state),
            error=how.error is not None,
        )

        def arrive() -> None:
            self.operation.state = how.state
            self._arrived(change, moves, how.last, now)

        return arrive

    # Details

    def _moves(
        self,
        session: Session,
        events: Sequence[str],
        values: dict[str, Any],
        *,
        target: str | None = None,
    ) -> list[Move]:
        """Tell of each of ``events`` and what it changes, one after the other.

        Where it leads has a deadline of its own, unless ``values`` have one.
        """
        moves: list[Move] = []
        at = Place(self.node.provision_state, self.node.target_provision_state)
        for event in events:
            change = transition(at, event, self.now(), target)
            tell_transition(self, session, event, change["provision_state"], at.provision_state)
            at = Place(change["provision_state"], change["target_provision_state"])
            if "deadline" not in values:
                change["deadline"] = self._deadline(at.provision_state)
            moves.append(Move(event, change))
        return moves

    def _journalled(
        self, session: Session, ended: Sequence[Ended], now: datetime.datetime
    ) -> list[tuple[Step, dict[str, Any]]]:
        """Write what goes along with steps that are done; what the journal is to say of them."""
        journal = []
        for step, done in ended:
            told = _done(done.result, now)
            if step.state == operations.PENDING:
                self._tell_step(session, step)
                told |= {"started_at": now}
            if done.along is not None:
                done.along(session)
            journal.append((step, told))
        return journal

    def _arrived(
        self,
        change: dict[str, Any],
        moves: Sequence[Move],
        ended: Sequence[Ended] = (),
        now: datetime.datetime | None = None,
    ) -> None:
        """Take over, log and announce what has been written."""
        for step, _ in ended:
            step.started_at = step.started_at or now
            metrics.step_ended(step, operations.DONE, now or self.now())
        for move in moves[:-1]:
            self.know(move.values)
            self.log(move.event)
        self.know(change)
        if moves:
            self.log(moves[-1].event)

    def _deadline(self, state: str) -> datetime.datetime | None:
        # An inspecting ramdisk speaks once: its beats are no reason to wait any longer.
        since = self.node.inspection_started_at if state == states.INSPECT_WAIT else None
        return deadline(self.box.settings, state, since or self.now())

    def _tell_step(self, session: Session, step: Step) -> None:
        self.tell(session, "step", f"{step.interface}.{step.step}", {"step": step.step})


def tell_transition(
    task: Task, session: Session, event: str, state: str, old: str | None = None
) -> None:
    """The event for people that belongs to a change of state, from the node's or ``old``."""
    old = old or task.node.provision_state
    task.tell(session, "state", f"{old} -> {state}", {"from": old, "to": state, "event": event})


def values_of(ended: Sequence[Ended]) -> dict[str, Any]:
    """The node's columns that came of steps that are done."""
    return {name: value for _, done in ended for name, value in done.values.items()}


def _merged(moves: Sequence[Move]) -> dict[str, Any]:
    """The node's columns when all of it has happened."""
    return {name: value for move in moves for name, value in move.values.items()}


def _begun(now: datetime.datetime) -> dict[str, Any]:
    return {"state": operations.RUNNING, "started_at": now}


def _done(result: dict[str, Any], now: datetime.datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"result": result, "cursor": {}, "error": None}
    return {"state": operations.DONE, "finished_at": now, **values}


def _failed(error: str, now: datetime.datetime) -> dict[str, Any]:
    return {"state": operations.FAILED, "error": error, "finished_at": now}


def rests(node: Any, operation: Any) -> bool:
    """Whether the operation is to stay where it is until an operator says so.

    Both may be rows that have the columns in question.
    """
    if operation.abort_requested or operation.state in operations.ENDING:
        return False  # An operator has, or there is nothing left to be said.
    waits = node.provision_state in states.WAITING
    return node.provision_state in states.HOLDING or bool(waits and node.maintenance)
