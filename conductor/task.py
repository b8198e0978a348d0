"""A node under a lease, with its driver and the operation that is being worked on.

The only place that fires events of the state machine. Each change of state is
one transaction: the new state, the journal, the event for people, and, where
the node is given back, the release of the lease.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from conductor.journal import Journal
from conductor.outcomes import Done
from conductor.plans import FLOWS
from conductor.toolbox import Toolbox
from conductor.transitions import WORKING_SECONDS, deadline, shown, transition
from drophammer import history, operations, states
from drophammer.model import Agent, Node, Operation, Step

_PROGRESS = ("progress_done", "progress_total", "progress_message", "progress_at")


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
            if operation is None or ended or (gently and _rests(node, operation)):
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
            change = self._transition(
                session, event, {**values, "target_power_state": None}, target=target
            )
        else:
            change["deadline"] = self.now() + datetime.timedelta(seconds=WORKING_SECONDS)
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
            self._start(session, step, now)
        step.state, step.started_at = operations.RUNNING, now
        self.know(values)

    def advance(self, step: Step, done: Done) -> bool:
        """Journal that ``step`` is done and that the next one has begun, in one transaction.

        False, and nothing is written, when there is no next one: ``end`` does it then.
        """
        position = step.position + 1
        following = self._at(position)
        if following is None:
            return False
        now = self.now()
        starts = not self.operation.abort_requested
        change: dict[str, Any] = {}
        event = "resume" if self.node.provision_state in states.WAITING else done.event
        with self.box.store.write() as session:
            if event is not None:
                change = self._transition(session, event, {})
            if starts:
                state = change.get("provision_state", self.node.provision_state)
                change |= shown(state, following)
            self.write(session, change)
            operations.set_step(session, step, _done(done.result, now))
            if starts:
                self._start(session, following, now)
            operations.set_values(
                session,
                self.operation.id,
                {
                    "position": position,
                    "state": operations.RUNNING,
                    "updated_at": now,
                    **dict.fromkeys(_PROGRESS),
                },
            )
        self.operation.position = position
        if starts:
            following.state, following.started_at = operations.RUNNING, now
        self.know(change)
        if event is not None:
            self.log(event)
        return True

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
            change = self._transition(session, event, {})
            self.write(session, change)
            operations.set_values(session, self.operation.id, {"state": operations.RUNNING})
        self.know(change)
        self.log(event)

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
            if state != waiting:
                change |= self._transition(session, "wait", change)
            operations.set_values(session, self.operation.id, {"state": operations.WAITING})
            self.box.store.release(session, self.lease, {**change, "updated_at": self.now()})
        self.know(change)
        if state != waiting:
            self.log("wait")
        return True

    def hold(self, step: Step) -> None:
        """Give the node back until the operator lets it go on; ``step`` knows that it held."""
        change: dict[str, Any] = {"deadline": None}
        holding = self.node.provision_state in states.HOLDING
        with self.box.store.write() as session:
            if not holding:
                change = self._transition(session, "hold", change)
            self.journal_note(session, step, held=True)
            operations.set_values(session, self.operation.id, {"state": operations.WAITING})
            self.box.store.release(session, self.lease, {**change, "updated_at": self.now()})
        self.know(change)
        if not holding:
            self.log("hold")

    def end(
        self,
        event: str | None,
        state: str,
        values: dict[str, Any],
        error: str | None,
        last: tuple[Step, dict[str, Any]] | None = None,
    ) -> None:
        """Finish the operation as ``state``, fire ``event`` and give the node back, in one go.

        ``last`` is the step it ended with, and what it returned where it was done.
        """
        now = self.now()
        with self.box.store.write() as session:
            change: dict[str, Any] = {
                "operation_id": None,
                "deadline": None,
                "clean_step": {},
                "deploy_step": {},
                "service_step": {},
                **values,
            }
            if event is not None:
                change |= self._transition(session, event, change)
            if error is not None:
                change["last_error"] = error
                self.tell(session, "error", error)
            position = self.operation.position
            if last is not None:
                step, result = last
                good = state == operations.DONE or self.operation.error is not None
                ended = _done(result, now) if good else _failed(error or "", now)
                operations.set_step(session, step, ended)
                position += good
            operations.set_values(
                session,
                self.operation.id,
                {
                    "state": state,
                    "error": error,
                    "position": position,
                    "updated_at": now,
                    "finished_at": now,
                    **dict.fromkeys(_PROGRESS),
                },
            )
            self.box.store.release(session, self.lease, {**change, "updated_at": now})
            self._add_history(session, change, error, now)
        self.know(change)
        self.operation.state = state
        if event is not None:
            self.log(event)

    # Details

    def _transition(
        self, session: Session, event: str, values: dict[str, Any], *, target: str | None = None
    ) -> dict[str, Any]:
        change = {**values, **transition(self.node, event, self.now(), target)}
        if "deadline" not in values:
            change["deadline"] = self._deadline(change["provision_state"])
        tell_transition(self, session, event, change["provision_state"])
        return change

    def _deadline(self, state: str) -> datetime.datetime | None:
        return deadline(self.box.settings, state, self.now())

    def _start(self, session: Session, step: Step, now: datetime.datetime) -> None:
        operations.set_step(session, step, {"state": operations.RUNNING, "started_at": now})
        self._tell_step(session, step)

    def _tell_step(self, session: Session, step: Step) -> None:
        self.tell(session, "step", f"{step.interface}.{step.step}", {"step": step.step})

    def _add_history(
        self,
        session: Session,
        change: dict[str, Any],
        error: str | None,
        now: datetime.datetime,
    ) -> None:
        operation, node = self.operation, self.node
        state = change.get("provision_state", node.provision_state)
        history.record(
            session,
            node_id=node.id,
            at=now,
            severity=history.INFO if error is None else history.ERROR,
            event_type=FLOWS[operation.flow].history,
            event=error or f"'{operation.verb}' has been done; the node is {state}.",
            conductor=self.box.holder.host,
            user=operation.request.get("user"),
            project=operation.request.get("project"),
            state=state,
            target=change.get("target_provision_state", node.target_provision_state),
            seconds=(now - operation.created_at).total_seconds(),
        )


def tell_transition(task: Task, session: Session, event: str, state: str) -> None:
    """The event for people that belongs to a change of state."""
    old = task.node.provision_state
    task.tell(session, "state", f"{old} -> {state}", {"from": old, "to": state, "event": event})


def _done(result: dict[str, Any], now: datetime.datetime) -> dict[str, Any]:
    return {"state": operations.DONE, "finished_at": now, "result": result, "cursor": {}}


def _failed(error: str, now: datetime.datetime) -> dict[str, Any]:
    return {"state": operations.FAILED, "error": error, "finished_at": now}


def _rests(node: Node, operation: Operation) -> bool:
    """Whether the operation is to stay where it is until an operator says so."""
    if operation.abort_requested:
        return False  # An operator has.
    waits = node.provision_state in states.WAITING
    return node.provision_state in states.HOLDING or (waits and node.maintenance)
