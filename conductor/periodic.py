"""What a conductor does by the clock: show that it lives, keep its leases, keep deadlines,
take up work whose worker is gone.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable
from functools import partial

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError

from conductor import failures
from conductor.flows import Runner
from conductor.task import Task
from conductor.toolbox import Toolbox
from drophammer import conductors, states
from drophammer.errors import DrophammerError
from drophammer.model import Node, Operation

LOG = logging.getLogger(__name__)
SWEEP_BATCH = 500


class Periodic:
    """One thread that runs the conductor's chores, each at its own interval."""

    def __init__(self, box: Toolbox, runner: Runner) -> None:
        self._box = box
        self._runner = runner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="periodic", daemon=True)

    def start(self) -> None:
        """Begin; the first sweep is at once, for what an earlier process left behind."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the chore that is running."""
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Show that this conductor lives and push out the leases it holds."""
        with self._box.store.write() as session:
            conductors.beat(session, self._box.holder.uuid, self._box.store.clock.now())
            self._box.store.renew_all(session, self._box.holder)

    def sweep(self) -> None:
        """End what is past its deadline; go on with what nobody works on any more."""
        now = self._box.store.clock.now()
        for node_id in self._overdue(now):
            self._runner.nudge(partial(self._time_out, node_id))
        for node_id in self._orphans(now):
            LOG.warning("node id %d: its worker is gone; going on from the journal", node_id)
            self._runner.nudge(partial(Task.resume, self._box, node_id, "taken over"))

    def _run(self) -> None:
        settings = self._box.settings
        chores: list[tuple[float, Callable[[], None]]] = [
            (settings.heartbeat_interval, self.beat),
            (settings.sweep_interval, self.sweep),
        ]
        due = [0.0] * len(chores)
        tick = min(interval for interval, _ in chores)
        while not self._stop.is_set():
            for number, (interval, chore) in enumerate(chores):
                due[number] -= tick
                if due[number] <= 0:
                    due[number] = interval
                    self._chore(chore)
            self._stop.wait(tick)

    def _chore(self, chore: Callable[[], None]) -> None:
        # A database that is away for a while must not end the chores for ever.
        try:
            chore()
        except (SQLAlchemyError, DrophammerError):
            LOG.exception("%s did not work this time", chore.__name__)

    def _overdue(self, now: datetime.datetime) -> list[int]:
        with self._box.store.read() as session:
            query = select(Node.id).where(Node.deadline < now).limit(SWEEP_BATCH)
            return list(session.scalars(query))

    def _orphans(self, now: datetime.datetime) -> list[int]:
        """Unfinished operations that nobody holds: in working states, or power operations."""
        with self._box.store.read() as session:
            query = (
                select(Node.id)
                .join(Operation, Operation.id == Node.operation_id)
                .where(
                    or_(Node.lease_owner.is_(None), Node.lease_expires < now),
                    Operation.finished_at.is_(None),
                    or_(
                        Node.provision_state.in_(states.WORKING),
                        Operation.flow == "power",
                    ),
                )
                .limit(SWEEP_BATCH)
            )
            return list(session.scalars(query))

    def _time_out(self, node_id: int) -> Task | None:
        now = self._box.store.clock.now()
        task = Task.resume(self._box, node_id, "deadline", seize=True)
        if task is None:
            self._forget_deadline(node_id)
            return None
        if task.node.deadline is None or task.node.deadline >= now:
            task.release()
            return None
        state = task.node.provision_state
        since = task.node.provision_updated_at or task.operation.created_at
        step = task.step()
        doing = f" in step {step.interface}.{step.step}" if step is not None else ""
        text = (
            f"Timed out after {(now - since).total_seconds():.0f} s in state '{state}'{doing}. "
            f"{_advice(task)}"
        )
        failures.fail(task, step, text)
        return None

    def _forget_deadline(self, node_id: int) -> None:
        with self._box.store.write() as session:
            node = session.get(Node, node_id)
            if node is not None and states.is_resting(node.provision_state):
                node.deadline = None


def _advice(task: Task) -> str:
    agent = task.agent()
    if agent is None or agent.last_beat is None or not agent.url:
        return (
            "Its ramdisk never called back: see the node's events for how far the network boot "
            "came, and its serial console."
        )
    return f"Its ramdisk was last heard of at {agent.last_beat:%Y-%m-%d %H:%M:%S} UTC."
