"""Heartbeats as they reach the conductor: most of them bring nothing on.

A ramdisk that is at a long step says every other minute that it is there. To take the node,
ask the agent, find its command still running and give the node back is two transactions for
nothing: here one look at the rows tells whether there is anything to ask, and the agent is
asked before the node is taken. What a beat means for a step is the step's own affair; the
deadline of a node that nobody took is put off by the sweep that finds it (``sweeps.py``).
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from sqlalchemy import and_, select

from conductor import agentclient, guard
from conductor.flows import Runner
from conductor.steps.agent import commands_of
from conductor.task import Task, rests
from conductor.toolbox import Toolbox
from conductor.workers import Workers
from drophammer import operations, purposes
from drophammer.errors import AgentError, AgentUnreachable, LeaseLost
from drophammer.model import Agent, Node, Operation, Step
from drophammer.store import Lease, held

# Agents leave seconds between two beats. Whoever does not is asked this often.
QUIET_SECONDS = 1.0
_REMEMBERED = 1024
_WORK = (
    select(
        Node.provision_state,
        Node.maintenance,
        Node.lease_owner,
        Node.lease_expires,
        Operation.state,
        Operation.abort_requested,
        Step.cursor,
        Agent.url,
        Agent.token,
        Agent.certificate,
    )
    .join(Operation, and_(Operation.id == Node.operation_id, Operation.finished_at.is_(None)))
    .outerjoin(Step, and_(Step.operation_id == Operation.id, Step.position == Operation.position))
    .outerjoin(Agent, Agent.node_id == Node.id)
)


class Nudges:
    """Takes up what nodes' ramdisks can bring on. Beats of a node that come together are one."""

    def __init__(self, box: Toolbox, workers: Workers, runner: Runner) -> None:
        self._box = box
        self._workers = workers
        self._runner = runner
        self._lock = threading.Lock()
        # Whose rows are to be looked at, and whose are being looked at.
        self._due: set[int] = set()
        self._looked_at: set[int] = set()
        self._quiet: dict[int, float] = {}

    def heard(self, node_id: int) -> None:
        """The node's ramdisk has spoken, and what it said is in its row."""
        with self._lock:
            known = node_id in self._due or node_id in self._looked_at
            self._due.add(node_id)
        # Whoever is about to look sees this one too; whoever looks now will look again.
        if not known:
            self._schedule(node_id)

    def _schedule(self, node_id: int) -> None:
        with self._lock:
            pause = self._quiet.get(node_id, 0.0) - self._box.holder.tenure.monotonic()
        look = partial(self._runner.nudge, partial(self._look, node_id))
        if pause > 0:
            self._workers.later(pause, look)
        else:
            look()

    def _look(self, node_id: int) -> Task | None:
        """The node with its work, taken, if there is anything to be done."""
        with self._lock:
            self._due.discard(node_id)
            self._looked_at.add(node_id)
        try:
            return self._task(node_id)
        finally:
            with self._lock:
                self._looked_at.discard(node_id)
                again = node_id in self._due
            if again:
                self._schedule(node_id)

    def _task(self, node_id: int) -> Task | None:
        # What is asked of the agent is asked as if the node were held from now on.
        moment = self._box.holder.tenure.taken()
        with self._box.store.ask() as connection:
            work = connection.execute(_WORK.where(Node.id == node_id)).one_or_none()
        if work is None or self._is_nobodys(work):
            return None
        seconds = self._box.store.lease_seconds
        look = Lease(node_id, self._box.holder, purposes.HEARTBEAT, 0, moment, seconds)
        if self._is_busy(work, look):
            self._remember(node_id)
            return None
        return Task.resume(self._box, node_id, purposes.HEARTBEAT, gently=True)

    def _is_nobodys(self, work: Any) -> bool:
        """Whether somebody holds the node, and compares the beats, or the operator has a say."""
        return held(work._mapping, self._box.store.clock.now()) or rests(work, work)

    def _is_busy(self, work: Any, look: Lease) -> bool:
        """Whether the agent is still at what it was last told to do."""
        started = commands_of(work.cursor or {})
        if work.state != operations.WAITING or not started or not work.url:
            return False
        agent = Agent(url=work.url, token=work.token, certificate=work.certificate)
        try:
            with guard.under(look):
                present = self._box.agents.commands(agent)
        except (AgentUnreachable, LeaseLost):
            return True  # Its next beat, or the deadline, decides.
        except AgentError:
            return False
        return any(one.id in started and one.status == agentclient.RUNNING for one in present)

    def _remember(self, node_id: int) -> None:
        now = self._box.holder.tenure.monotonic()
        with self._lock:
            if len(self._quiet) >= _REMEMBERED:
                self._quiet = {node: until for node, until in self._quiet.items() if until > now}
            self._quiet[node_id] = now + QUIET_SECONDS
