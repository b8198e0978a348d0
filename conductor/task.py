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

from conductor import entries, metrics, report
from conductor.journal import Journal
from conductor.outcomes import Done
from conductor.toolbox import Toolbox
from conductor.transitions import WORKING_SECONDS, deadline, shown, transition
from drophammer import operations, states
from drophammer.model import Agent, Operation, Step
from drophammer.store import CLEAN_UP_SECONDS


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
            change = self._transition(
                session, event, {**values, "target_power_state": None}, target=target
            )
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
        change = dict(done.values)
        event = "resume" if self.node.provision_state in states.WAITING else done.event
        with self.box.store.write() as session:
            if event is not None:
                change = self._transition(session, event, change)
            elif self.node.provision_state in states.WORKING:
                # It is one step that may hang, not a long list of them.
                change["deadline"] = self._deadline(self.node.provision_state)
            if starts:
                state = change.get("provision_state", self.node.provision_state)
                change |= shown(state, following)
            self.write(session, change)
            if done.along is not None:
                done.along(session)
            journal = [(step, _done(done.result, now))]
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
        metrics.step_ended(step, operations.DONE, now)
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

    def end(
        self,
        event: str | None,
        state: str,
        values: dict[str, Any],
        error: str | None,
        last: tuple[Step, Done] | None = None,
    ) -> None:
        """Finish the operation as ``state``, fire ``event`` and give the node back, in one go.

        ``last`` is the step that was done last, and its answer, if that is not journalled yet.
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
            state_after = change.get("provision_state", self.node.provision_state)
            told = report.account(self.operation, state_after, now)
            if error is not None:
                change["last_error"] = error
                self.tell(session, "error", error, told)
            position = self.operation.position
            if last is not None:
                step, done = last
                operations.set_step(session, step, _done(done.result, now))
                if done.along is not None:
                    done.along(session)
                position += 1
            operations.set_values(
                session,
                self.operation.id,
                {
                    "state": state,
                    "error": error,
                    "position": position,
                    "updated_at": now,
                    "finished_at": now,
                    **dict.fromkeys(operations.PROGRESS),
                },
            )
            self.box.store.release(session, self.lease, {**change, "updated_at": now})
            text = error or report.success(told)
            target = change.get("target_provision_state", self.node.target_provision_state)
            entries.add(
                session,
                self.box,
                self.node,
                self.operation,
                told,
                text,
                target=target,
                error=error is not None,
            )
        self.know(change)
        self.operation.state = state
        if last is not None:
            metrics.step_ended(last[0], operations.DONE, now)
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
        # An inspecting ramdisk speaks once: its beats are no reason to wait any longer.
        since = self.node.inspection_started_at if state == states.INSPECT_WAIT else None
        return deadline(self.box.settings, state, since or self.now())

    def _tell_step(self, session: Session, step: Step) -> None:
        self.tell(session, "step", f"{step.interface}.{step.step}", {"step": step.step})


def tell_transition(task: Task, session: Session, event: str, state: str) -> None:
    """The event for people that belongs to a change of state."""
    old = task.node.provision_state
    task.tell(session, "state", f"{old} -> {state}", {"from": old, "to": state, "event": event})


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
