"""A node under a lease, with its driver and the operation that is being worked on.

The only place that fires events of the state machine. Each change of state is
one transaction: the new state, the journal, the event for people, and, where
the node is given back, the release of the lease.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from conductor.drivers.registry import Driver
from conductor.toolbox import Toolbox
from drophammer import boots, events, operations, states
from drophammer.errors import Unavailable
from drophammer.model import Agent, Inventory, Node, Operation, Port, Step
from drophammer.store import Lease

LOG = logging.getLogger(__name__)

# Which column of the node shows the step that runs, by the state the node is in.
SHOWN_IN = {
    states.CLEANING: "clean_step",
    states.CLEAN_WAIT: "clean_step",
    states.DEPLOYING: "deploy_step",
    states.WAIT_CALL_BACK: "deploy_step",
    states.SERVICING: "service_step",
    states.SERVICE_WAIT: "service_step",
}


class Task:
    """Exclusive work on one node. Every write names the lease's fence."""

    def __init__(self, box: Toolbox, lease: Lease, node: Node, operation: Operation) -> None:
        self.box = box
        self.lease = lease
        self.node = node
        self.operation = operation
        self.driver = Driver(box, node)
        self.beats = 0

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
        node is past its deadline; ``gently`` leaves nodes in maintenance alone.
        """
        with box.store.write() as session:
            take = box.store.seize if seize else box.store.reserve
            lease = take(session, node_id, box.holder, purpose)
            if lease is None:
                return None
            node = session.get_one(Node, node_id)
            if gently and node.maintenance:
                box.store.release(session, lease)
                return None
            operation = (
                session.get(Operation, node.operation_id) if node.operation_id is not None else None
            )
            if operation is None or operation.finished_at is not None:
                box.store.release(session, lease)
                return None
            session.expunge_all()
        return cls(box, lease, node, operation)

    # What is known

    def now(self) -> datetime.datetime:
        """The present moment by the store's clock."""
        return self.box.store.clock.now()

    def step(self) -> Step | None:
        """The step that is due."""
        with self.box.store.read() as session:
            return operations.step_at(session, self.operation.id, self.operation.position)

    def has_more_steps(self, step: Step) -> bool:
        """Whether anything is planned behind ``step``."""
        with self.box.store.read() as session:
            behind = operations.step_at(session, self.operation.id, step.position + 1)
        return behind is not None

    def agent(self) -> Agent | None:
        """What the agent last told of itself. Also notes how often it has been heard."""
        with self.box.store.read() as session:
            agent = session.get(Agent, self.node.id)
        self.beats = agent.beats if agent is not None else 0
        return agent

    def inventory(self) -> Inventory | None:
        """What inspection found."""
        with self.box.store.read() as session:
            return session.get(Inventory, self.node.id)

    def in_ramdisk(self) -> bool:
        """Whether this node was made to boot our ramdisk, and not yet to leave it."""
        with self.box.store.read() as session:
            return boots.is_set(session, self.node.id)

    def ports(self) -> list[Port]:
        """The node's ports, by MAC."""
        with self.box.store.read() as session:
            query = select(Port).where(Port.node_id == self.node.id).order_by(Port.address)
            return list(session.scalars(query))

    # Writing

    def update(self, values: dict[str, Any], *, event: tuple[str, str] | None = None) -> None:
        """Write columns of the node, with (kind, message) as an event."""
        with self.box.store.write() as session:
            self.write(session, values)
            if event is not None:
                self.tell(session, *event)
        self._apply(values)

    def write(self, session: Session, values: dict[str, Any]) -> None:
        """Write columns of the node within the caller's transaction, under the lease."""
        self.box.store.update_leased(session, self.lease, {**values, "updated_at": self.now()})

    def tell(
        self, session: Session, kind: str, message: str, data: dict[str, Any] | None = None
    ) -> None:
        """Add an event of this node within the caller's transaction."""
        events.record(
            session,
            node_id=self.node.id,
            at=self.now(),
            source="conductor",
            kind=kind,
            message=message,
            data=data,
        )

    def confirm(self) -> None:
        """Raise LeaseLost unless the node is still ours: asked right before hardware is told.

        Between this and the command a lease could still be lost; the gap is made of
        nothing but our own few instructions.
        """
        with self.box.store.write() as session:
            self.box.store.update_leased(session, self.lease, {"lease_purpose": Node.lease_purpose})

    def start_step(self, step: Step) -> None:
        """Journal that the step runs, and show it on the node."""
        if step.state == operations.RUNNING:
            return
        now = self.now()
        with self.box.store.write() as session:
            values = self._shown(step) if step.interface != "conductor" else {}
            self.write(session, values)
            operations.set_step(session, step.id, {"state": operations.RUNNING, "started_at": now})
            self.tell(session, "step", f"{step.interface}.{step.step}", {"step": step.step})
        step.state, step.started_at = operations.RUNNING, now
        self._apply(values)

    def finish_step(self, step: Step, result: dict[str, Any]) -> None:
        """Journal that the step is done and that the next one is due."""
        now = self.now()
        values = {"state": operations.DONE, "finished_at": now, "result": result, "cursor": {}}
        progress = dict.fromkeys(
            ("progress_done", "progress_total", "progress_message", "progress_at")
        )
        position = self.operation.position + 1
        with self.box.store.write() as session:
            self.write(session, {})
            operations.set_step(session, step.id, values)
            operations.set_values(
                session, self.operation.id, {"position": position, "updated_at": now, **progress}
            )
        self.operation.position = position

    def note(self, step: Step, **cursor: Any) -> None:
        """Journal how far a step has got; it finds this in ``step.cursor`` when visited again."""
        step.cursor = {**step.cursor, **cursor}
        with self.box.store.write() as session:
            self.write(session, {})
            operations.set_step(session, step.id, {"cursor": step.cursor})

    def add_steps(self, step: Step, specs: list[operations.StepSpec]) -> None:
        """Put ``specs`` right behind ``step``."""
        with self.box.store.write() as session:
            self.write(session, {})
            operations.insert_after(session, self.operation.id, step.position, specs)

    def fire(self, event: str) -> None:
        """Take the node along ``event`` and keep it."""
        with self.box.store.write() as session:
            change = self._transition(session, event, {})
            self.write(session, change)
            operations.set_values(session, self.operation.id, {"state": operations.RUNNING})
        self._apply(change)
        self._log(event)

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
        self._apply(change)
        if state != waiting:
            self._log("wait")
        return True

    def end(self, event: str | None, state: str, values: dict[str, Any], error: str | None) -> None:
        """Finish the operation as ``state``, fire ``event`` and give the node back, in one go."""
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
            operations.set_values(
                session,
                self.operation.id,
                {"state": state, "error": error, "updated_at": now, "finished_at": now},
            )
            self.box.store.release(session, self.lease, {**change, "updated_at": now})
        self._apply(change)
        self.operation.state = state
        if event is not None:
            self._log(event)

    def release(self) -> None:
        """Give the node back as it is."""
        with self.box.store.write() as session:
            self.box.store.release(session, self.lease)

    # Details

    def _transition(self, session: Session, event: str, values: dict[str, Any]) -> dict[str, Any]:
        change = {**values, **transition(self.node, event, self.now())}
        if "deadline" not in values:
            change["deadline"] = self._deadline(change["provision_state"])
        tell_transition(self, session, event, change["provision_state"])
        return change

    def _deadline(self, state: str) -> datetime.datetime | None:
        return deadline(self.box, state, self.now())

    def _shown(self, step: Step) -> dict[str, Any]:
        column = SHOWN_IN.get(self.node.provision_state)
        if column is None:
            return {}
        shown = {
            "interface": step.interface,
            "step": step.step,
            "priority": step.priority,
            "abortable": step.abortable,
        }
        return {column: shown}

    def _apply(self, values: dict[str, Any]) -> None:
        self._left = self.node.provision_state
        for name, value in values.items():
            setattr(self.node, name, value)

    def _log(self, event: str) -> None:
        LOG.info(
            "node %s: %s -> %s (%s)",
            self.node.uuid,
            self._left,
            self.node.provision_state,
            event,
        )


def transition(node: Node, event: str, now: datetime.datetime) -> dict[str, Any]:
    """The columns that change when ``event`` takes ``node`` along (contract: fsm, section 3)."""
    state = states.next_state(node.provision_state, event)
    target = states.next_target(node.provision_state, event, node.target_provision_state)
    values: dict[str, Any] = {
        "provision_state": state,
        "target_provision_state": target,
        "provision_updated_at": now,
    }
    if state == states.INSPECTING and states.is_resting(node.provision_state):
        values |= {"inspection_started_at": now, "inspection_finished_at": None}
    elif state == states.MANAGEABLE and node.provision_state in (
        states.INSPECTING,
        states.INSPECT_WAIT,
    ):
        values |= {"inspection_started_at": None, "inspection_finished_at": now}
    elif state == states.INSPECT_FAILED:
        values["inspection_started_at"] = None
    return values


def tell_transition(task: Task, session: Session, event: str, state: str) -> None:
    """The event for people that belongs to a change of state."""
    old = task.node.provision_state
    task.tell(session, "state", f"{old} -> {state}", {"from": old, "to": state, "event": event})


# A worker that is alive renews its lease for ever; a step that hangs is ended by this.
WORKING_SECONDS = 1800.0


def deadline(box: Toolbox, state: str, now: datetime.datetime) -> datetime.datetime | None:
    """Until when a node may stay in ``state``; None for a resting state or a timeout of 0."""
    settings = box.settings
    seconds = {
        states.WAIT_CALL_BACK: settings.deploy_timeout,
        states.CLEAN_WAIT: settings.clean_timeout,
        states.INSPECT_WAIT: settings.inspect_timeout,
    }.get(state, WORKING_SECONDS if state in states.WORKING else 0)
    return now + datetime.timedelta(seconds=seconds) if seconds else None


def begin(
    box: Toolbox,
    node_id: int,
    *,
    verb: str,
    flow: str,
    event: str | None,
    request: dict[str, Any],
    plan: Callable[[Node, Driver], list[operations.StepSpec]],
    check: Callable[[Node], None],
) -> Task:
    """Start an operation: lease, state, journal and event, in one transaction.

    ``check(node)`` raises when the node may not start this; ``plan(node, driver)``
    gives the steps. Both see the node under the lease and touch no hardware.
    """
    store = box.store
    now = store.clock.now()
    with store.write() as session:
        if flow == "power":
            _take_from_power_operation(session, node_id)
        lease = store.reserve(session, node_id, box.holder, verb)
        node = session.get_one(Node, node_id)
        check(node)
        old = session.get(Operation, node.operation_id) if node.operation_id is not None else None
        if old is not None and old.finished_at is None:
            if event != "delete" and old.flow != "power":
                raise Unavailable(f"Node {node.uuid} still ends '{old.verb}'; try again.")
            operations.give_up(session, old.id, now)
        _limit(session, box, flow)
        steps = plan(node, Driver(box, node))
        operation = operations.create(
            session, node_id=node_id, verb=verb, flow=flow, request=request, steps=steps, now=now
        )
        session.expunge_all()
        task = Task(box, lease, node, operation)
        change: dict[str, Any] = {"operation_id": operation.id, "last_error": None}
        if event is not None:
            change |= task._transition(session, event, {**change, "target_power_state": None})
        else:
            change["deadline"] = now + datetime.timedelta(seconds=WORKING_SECONDS)
        task.write(session, change)
    task._apply(change)
    if event is not None:
        task._log(event)
    return task


def _take_from_power_operation(session: Session, node_id: int) -> None:
    """A power request replaces one that is under way: nobody should have to sit a soft one out.

    The fence keeps the worker of the old one from writing and from switching.
    """
    old = (
        select(Operation.id)
        .where(
            Operation.id == Node.operation_id,
            Operation.flow == "power",
            Operation.finished_at.is_(None),
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
    kind = "clean" if flow == "delete" else flow  # Deleting ends with cleaning.
    limits = {
        "deploy": (box.settings.max_concurrent_deploy, ("deploy",)),
        "clean": (box.settings.max_concurrent_clean, ("clean", "delete")),
    }
    if kind not in limits:
        return
    limit, flows = limits[kind]
    if operations.count_unfinished(session, flows) >= limit:
        raise Unavailable(
            f"{limit} operations of kind '{kind}' are under way, which is the limit "
            f"([conductor] max_concurrent_{kind}); try again when one has ended."
        )
