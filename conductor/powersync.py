"""Keeps what the rows say of machines' power in step with what their controllers say.

Two threads go through the nodes that this conductor polls (``placement.py``), each at its
own interval: one through those whose controllers answer, one through those with a power
failure, so that the dead do not delay the living. What an answer means is in
``powerverdict.py``. No lease is taken: what was found of a node that somebody has taken
meanwhile is dropped.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from conductor import announce, placement, report
from conductor.drivers.registry import Driver
from conductor.powerverdict import Answer, Verdicts
from conductor.toolbox import Toolbox
from drophammer import conductors, outage, powerstates
from drophammer.errors import DrophammerError, HardwareError
from drophammer.model import Node

LOG = logging.getLogger(__name__)
PAGE = 500
STOP_SECONDS = 2.0


class PowerSync:
    """Polls power controllers until it is stopped. ``switch`` begins a power operation."""

    def __init__(self, box: Toolbox, switch: Callable[[int, str], None]) -> None:
        self._box = box
        self._verdicts = Verdicts(box.settings, switch)
        self._stop = threading.Event()
        rounds = (
            ("power-sync", box.settings.power_sync_interval, self.sync),
            ("power-recovery", box.settings.power_recovery_interval, self.recover),
        )
        self._threads = [
            threading.Thread(target=self._every, args=(seconds, go), name=name, daemon=True)
            for name, seconds, go in rounds
            if seconds > 0
        ]

    def start(self) -> None:
        """Begin; the first round is an interval away, when work left behind has been taken up."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask nobody any more. A question that has been asked is not waited for."""
        self._stop.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def sync(self) -> None:
        """One round through the nodes whose controllers answer, as far as is known."""
        self._round(failed=False)

    def recover(self) -> None:
        """One round through the nodes with a power failure."""
        self._round(failed=True)

    def _every(self, seconds: float, go: Callable[[], None]) -> None:
        due = time.monotonic() + seconds
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            # A round that takes longer than the interval is followed by the next at once.
            due = time.monotonic() + seconds
            try:
                go()
            except Exception as error:
                outage.log(LOG, error, "a round of the power sync did not work this time")

    def _round(self, *, failed: bool) -> None:
        settings, store = self._box.settings, self._box.store
        group = settings.conductor_group.lower()
        pollers = self._pollers(group)
        asked: set[int] = set()
        after = 0
        while not self._stop.is_set():
            with store.read() as session:
                page = powerstates.page(
                    session, drivers=pollers, group=group, failed=failed, after=after, limit=PAGE
                )
            mine = [node for node in page if self._is_mine(node, pollers[node.driver])]
            asked.update(node.id for node in mine)
            self._page(mine)
            if len(page) < PAGE:
                self._verdicts.forget_others(asked, failed=failed)
                return
            after = page[-1].id

    def _pollers(self, group: str) -> dict[str, list[str]]:
        """By driver of ours, the conductors that could poll its nodes, this one included."""
        since = self._box.store.clock.now() - datetime.timedelta(
            seconds=self._box.store.lease_seconds
        )
        with self._box.store.read() as session:
            alive = conductors.alive(session, since)
        own = self._box.holder.uuid
        others = [one for one in alive if one.conductor_group == group and one.uuid != own]
        return {
            driver: [own, *(one.uuid for one in others if driver in one.hardware_types)]
            for driver in self._box.drivers.types
        }

    def _is_mine(self, node: Node, pollers: Sequence[str]) -> bool:
        return placement.owner(node.uuid, pollers) == self._box.holder.uuid

    def _page(self, nodes: list[Node]) -> None:
        """Ask for the power of some nodes, and write what has changed."""
        # Those that were silent come last, for they may be so again, for long.
        nodes.sort(key=self._verdicts.answers, reverse=True)
        answers = self._ask_all(nodes)
        if self._stop.is_set():
            return  # What was not answered now says nothing about the machines.
        store = self._box.store
        now = store.clock.now()
        found = [
            finding
            for node, answer in answers
            if (finding := self._verdicts.of(node, answer, now)) is not None
        ]
        if found:
            with store.write() as session:
                written = powerstates.write(session, found, now, self._box.holder.host)
            for finding in written:
                self._verdicts.written(finding, now)
                former = finding.node.power_state
                if finding.values.get("power_state", former) != former:
                    announce.corrected(store, finding.node, former)

    def _ask_all(self, nodes: Sequence[Node]) -> list[tuple[Node, Answer]]:
        """Nodes with their answers; no more are asked at once than there are workers."""
        todo = deque(nodes)
        answers: list[tuple[Node, Answer]] = []
        others = [
            threading.Thread(
                target=self._ask_some, args=(todo, answers), name="power-asker", daemon=True
            )
            for _ in range(min(self._box.settings.power_sync_workers, len(nodes)) - 1)
        ]
        for thread in others:
            thread.start()
        self._ask_some(todo, answers)
        for thread in others:
            thread.join()
        return answers

    def _ask_some(self, todo: deque[Node], answers: list[tuple[Node, Answer]]) -> None:
        with suppress(IndexError):  # Somebody else may have taken the last one.
            while todo and not self._stop.is_set():
                node = todo.popleft()
                answers.append((node, self._ask(node)))

    def _ask(self, node: Node) -> Answer:
        try:
            return Driver(self._box, node).power.state(node)
        except DrophammerError as error:
            return error
        except Exception as error:
            LOG.exception("node %s: asking for its power failed unexpectedly", node.uuid)
            what = f"Asking for the power state of node {node.uuid}"
            return HardwareError(report.unexpected(what, error, f"node {node.uuid}"))
