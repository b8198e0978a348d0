"""What a conductor does by the clock: show that it lives, keep its leases, keep deadlines,
take up work whose worker is gone.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import and_, exists, or_, select

from conductor import failures
from conductor.flows import Runner, step_name
from conductor.plans import BESIDE
from conductor.task import Task
from conductor.toolbox import Toolbox
from drophammer import allocations, conductors, history, operations, states
from drophammer.model import Inventory, Node, Operation

LOG = logging.getLogger(__name__)
SWEEP_BATCH = 500
CUT_SECONDS = 3600.0
GOING_ON = "going on with what was begun"


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
            known = conductors.beat(session, self._box.holder.uuid, self._box.store.clock.now())
            self._box.store.renew_all(session, self._box.holder)
        if not known:
            LOG.error(
                "another process has registered as conductor '%s'; one of the two must stop, or "
                "get another name by [DEFAULT] host",
                self._box.settings.host,
            )

    def sweep(self, *, first: bool = False) -> None:
        """End what is past its deadline; go on with what nobody works on any more.

        The ``first`` one also looks at every node that waits: what its ramdisk said
        may have been said to nobody.
        """
        now = self._box.store.clock.now()
        for node_id in self._overdue(now):
            self._runner.nudge(partial(self._time_out, node_id))
        for node_id in self._orphans(now, waiting=first):
            self._runner.nudge(partial(Task.resume, self._box, node_id, GOING_ON, gently=True))

    def allocate(self) -> None:
        """Try again the allocations that wait for nodes that were held by others."""
        settings = self._box.settings
        patience = settings.locked_attempts * settings.locked_interval
        allocations.retry(self._box.store, patience)

    def cut_history(self) -> None:
        """Forget the oldest entries of nodes that have more of them than are to be kept."""
        kept = self._box.settings.history_entries
        with self._box.store.read() as session:
            node_ids = history.too_long(session, kept, SWEEP_BATCH)
        for node_id in node_ids:
            with self._box.store.write() as session:
                history.cut(session, node_id, kept)

    def _run(self) -> None:
        settings = self._box.settings
        self._chore(self.beat)
        self._chore(partial(self.sweep, first=True))
        chores: list[tuple[float, Callable[[], None]]] = [
            (settings.heartbeat_interval, self.beat),
            (settings.sweep_interval, self.sweep),
            (settings.locked_interval, self.allocate),
            (CUT_SECONDS, self.cut_history),
        ]
        due = [time.monotonic() + interval for interval, _ in chores]
        while not self._stop.wait(max(0.0, min(due) - time.monotonic())):
            for number, (interval, chore) in enumerate(chores):
                if due[number] <= time.monotonic():
                    due[number] = time.monotonic() + interval
                    self._chore(chore)

    def _chore(self, chore: Callable[[], None]) -> None:
        # Whatever happened, the next beat must come: without it all work here is lost.
        try:
            chore()
        except Exception:
            LOG.exception("a chore of the conductor did not work this time")

    def _overdue(self, now: datetime.datetime) -> list[int]:
        with self._box.store.read() as session:
            query = select(Node.id).where(Node.deadline < now).limit(SWEEP_BATCH)
            return list(session.scalars(query))

    def _orphans(self, now: datetime.datetime, *, waiting: bool) -> list[int]:
        """Nodes with unfinished work that nobody holds and that need no message to go on."""
        goes_on = [
            Node.provision_state.in_(states.WORKING),
            Operation.flow.in_(BESIDE),
            Operation.abort_requested.is_(True),
            # Let go from a hold, by a process that has got no further.
            and_(Node.provision_state.in_(states.WAITING), Operation.state == operations.RUNNING),
            # An inspecting ramdisk speaks once; its data is what counts, not the message.
            and_(
                Node.provision_state == states.INSPECT_WAIT,
                exists().where(
                    Inventory.node_id == Node.id, Inventory.created_at >= Operation.created_at
                ),
            ),
        ]
        if waiting:
            goes_on.append(Node.provision_state.in_(states.WAITING))
        settings = self._box.settings
        with self._box.store.read() as session:
            query = (
                select(Node.id)
                .join(Operation, Operation.id == Node.operation_id)
                .where(
                    or_(Node.lease_owner.is_(None), Node.lease_expires < now),
                    Operation.finished_at.is_(None),
                    Node.driver.in_(settings.hardware_types),
                    Node.conductor_group == settings.conductor_group.lower(),
                    or_(*goes_on),
                )
                .limit(SWEEP_BATCH)
            )
            return list(session.scalars(query))

    def _time_out(self, node_id: int) -> Task | None:
        task = Task.resume(self._box, node_id, "deadline", seize=True)
        if task is None:
            self._forget_deadline(node_id)
        else:
            self._runner.guarded(task, _end_late)
        return None

    def _forget_deadline(self, node_id: int) -> None:
        with self._box.store.write() as session:
            node = session.get(Node, node_id)
            if node is not None and states.is_resting(node.provision_state):
                node.deadline = None


def _end_late(task: Task) -> None:
    """Fail what is past its deadline, saying how long and in what."""
    state = task.node.provision_state
    since = task.node.provision_updated_at or task.operation.created_at
    seconds = (task.now() - since).total_seconds()
    step = task.step()
    doing = f" in step '{step_name(step)}'" if step is not None else ""
    text = f"Timed out after {seconds:.0f} s in state '{state}'{doing}. {_advice(task)}"
    failures.fail(task, step, text)


def _advice(task: Task) -> str:
    agent = task.agent()
    if agent is None or agent.last_beat is None or not agent.url:
        return (
            "Its ramdisk never called back: see the node's events for how far the network boot "
            "came, and its serial console."
        )
    return f"Its ramdisk was last heard of at {agent.last_beat:%Y-%m-%d %H:%M:%S} UTC."
