"""What must be true of every node after whatever has happened, as far as its rows tell."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from conductor.plans import FLOWS
from drophammer import operations, states
from drophammer.model import Event, HistoryEntry, Node, Operation
from tests.functional.lives.life import Life
from tests.functional.lives.world import LEASE_SECONDS, World

_EDGES = set(states.TRANSITIONS)
_KINDS = {flow.history for flow in FLOWS.values()}
_UNFIT = ("Traceback", "object at 0x", "KeyError", "None")


class Laws:
    """Keeps in mind what was, to compare with what is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last_event = 0
        self._states: dict[int, str] = {}
        self._fences: dict[int, int] = {}
        self._dead: dict[str, dict[int, datetime.datetime | None]] = {}

    def begins(self, node_id: int, state: str) -> None:
        """A node is there, in this state."""
        self._states[node_id] = state

    def check(self) -> None:
        """Raise AssertionError for what must not be."""
        world = self._world
        assert not world.offences, world.offences
        with world.store.read() as session:
            nodes = session.scalars(select(Node)).all()
            query = select(Operation).where(Operation.finished_at.is_(None))
            unfinished = session.scalars(query).all()
            self._follow(session)
            self._check_history(session)
        for node in nodes:
            own = [one for one in unfinished if one.node_id == node.id]
            assert len(own) <= 1, f"two operations on {_show(node)}"
            work = own[0] if own else None
            self._check_state(node, work)
            self._check_lease(node)
            for word in _UNFIT:
                assert word not in (node.last_error or ""), node.last_error

    def _follow(self, session: Any) -> None:
        query = select(Event).where(Event.id > self._last_event).order_by(Event.id)
        for event in session.scalars(query):
            self._last_event = event.id
            for word in _UNFIT:
                assert word not in event.message, event.message
            if event.kind == "state":
                told = event.data
                assert told["from"] == self._states[event.node_id], told
                assert (told["from"], told["event"], told["to"]) in _EDGES, told
                self._states[event.node_id] = told["to"]

    def _check_history(self, session: Any) -> None:
        ended = select(Operation.node_id, func.count()).where(Operation.finished_at.is_not(None))
        told = select(HistoryEntry.node_id, func.count()).where(HistoryEntry.event_type.in_(_KINDS))
        ended, told = ended.group_by(Operation.node_id), told.group_by(HistoryEntry.node_id)
        assert Counter(dict(session.execute(ended).all())) == Counter(
            dict(session.execute(told).all())
        ), "an ended operation has one entry in the history"

    def _check_state(self, node: Node, work: Operation | None) -> None:
        state = node.provision_state
        assert state == self._states[node.id], f"unseen change to {_show(node)}"
        kind = states.STATES[state].kind
        if work is not None:
            assert node.operation_id == work.id, f"an operation nobody looks at: {_show(node)}"
        if kind in (states.TRANSIENT, states.WAIT):
            assert work is not None, _show(node)
            assert node.deadline is not None, _show(node)
        elif kind == states.HOLD:
            assert work is not None, _show(node)
            waits = work.state == operations.WAITING
            assert (node.deadline is None) == waits or work.abort_requested, _show(node)
        elif work is not None:
            assert FLOWS[work.flow].beside, f"{work.flow} on {_show(node)}"
            assert node.deadline is not None, _show(node)
        else:
            assert node.deadline is None, _show(node)

    def _check_lease(self, node: Node) -> None:
        world, now = self._world, self._world.clock.now()
        assert node.fence >= self._fences.get(node.id, 0), _show(node)
        self._fences[node.id] = node.fence
        if node.lease_owner is None:
            return
        assert node.lease_expires is not None, _show(node)
        assert node.lease_purpose, _show(node)
        left = (node.lease_expires - now).total_seconds()
        assert left <= LEASE_SECONDS, f"leased for too long: {_show(node)}"
        owner = next(one for one in world.lives if one.box.holder.uuid == node.lease_owner)
        if owner.dead:
            seen = self._dead.setdefault(node.lease_owner, {})
            expires = seen.setdefault(node.id, node.lease_expires)
            assert expires is not None
            assert node.lease_expires <= expires, f"the dead renew no lease: {_show(node)}"
        elif left > 0:
            assert owner.queue.works_under(node.id, node.fence), (
                f"held, and renewed for ever, by one who does nothing: {_show(node)}"
            )

    # The end

    def assert_settles(self, life: Life) -> None:
        """With ``life`` alone and nothing said to anybody, every node comes to rest."""
        world = self._world
        for other in world.lives:
            if other is not life:
                other.die()
        world.messages.clear()
        began = world.monotonic()
        for _ in range(400):
            life.beat()
            life.sweep()
            life.run_all()
            self.check()
            busy = [node for node in self._all() if not self._rests(node)]
            if not busy:
                return
            if world.monotonic() - began > LEASE_SECONDS + 20 and "world" in life.box.drivers.types:
                for node in busy:
                    own = node.lease_owner in (None, life.box.holder.uuid)
                    assert own, f"nobody takes it up: {_show(node)}"
            world.clock.advance(self._pause(life, busy))
        raise AssertionError(f"stuck: {[_show(node) for node in busy]}")

    def _all(self) -> list[Node]:
        with self._world.store.read() as session:
            return list(session.scalars(select(Node)))

    def _rests(self, node: Node) -> bool:
        if node.lease_owner is not None:
            return False
        if node.provision_state in states.HOLDING:
            return node.deadline is None
        return states.is_resting(node.provision_state) and node.deadline is None

    def _pause(self, life: Life, busy: list[Node]) -> float:
        """Until something is due; in steps in which a life that holds nodes renews its leases."""
        world = self._world
        now = world.clock.now()
        moments = [
            (moment - now).total_seconds()
            for node in busy
            for moment in (node.deadline, node.lease_expires)
            if moment is not None
        ]
        moments += [due - world.monotonic() for due, _, _ in life.queue.timers]
        soonest = max(0.01, min((moment for moment in moments if moment > 0), default=20.0) + 0.01)
        holds = any(node.lease_owner == life.box.holder.uuid for node in busy)
        return min(soonest, 20.0) if holds else soonest


def _show(node: Node) -> str:
    shown = ("id", "provision_state", "operation_id", "deadline", "maintenance", "lease_owner")
    shown += ("lease_purpose", "lease_expires", "fence", "last_error")  # type: ignore[assignment]
    return ", ".join(f"{name}={getattr(node, name)}" for name in shown)
