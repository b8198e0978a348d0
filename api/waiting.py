"""Where requests wait for a node that somebody holds: a short queue per node, first come first
served.

Only the first of a queue tries, the others wait for it; whoever comes later does not
overtake them. Waiting takes a thread of the API, so there are few places, and patience
ends soon: the refusal then names who holds the node, for what and since when. Reads and
heartbeats need no lease and never come here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from drophammer.errors import NodeLocked

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 0.25, 1.5


@dataclass
class _Queue:
    """Threads in the order of their arrival, and what the first of them was told last."""

    threads: deque[int] = field(default_factory=deque)
    refusal: str = ""


class WaitingRoom:
    """``seats`` places for all nodes together; nobody waits for longer than ``patience``."""

    def __init__(self, seats: int, patience: float) -> None:
        self._seats = seats
        self._patience = patience
        self._changed = threading.Condition()
        self._queues: dict[str, _Queue] = {}
        self._seated: set[int] = set()

    def waiting(self, node: str) -> int:
        """How many requests wait for a node."""
        with self._changed:
            queue = self._queues.get(node)
            return len(queue.threads) if queue else 0

    def check_turn(self, node: str) -> None:
        """Raise NodeLocked when others wait for the node and this thread has not waited at all.

        Who has come to the front of any queue passes: two nodes may be needed at once, and
        two who wait for each other would get nowhere.
        """
        if not self._queues:
            return
        with self._changed:
            queue = self._queues.get(node)
            if queue is not None and threading.get_ident() not in self._seated:
                raise NodeLocked(queue.refusal)

    def when_free(self, key: Callable[[], str], attempt: Callable[[], T]) -> T:
        """What ``attempt`` returns, tried again while it raises NodeLocked.

        ``key`` names the queue, after the first attempt. Raises the last refusal when
        patience is over, and at once where all places are taken.
        """
        try:
            return attempt()
        except NodeLocked as error:
            node, refusal = key(), error.message
        deadline = time.monotonic() + self._patience
        queue = self._line_up(node, refusal)
        try:
            return self._attempts(queue, attempt, deadline)
        finally:
            self._leave(node, queue)

    def _line_up(self, node: str, refusal: str) -> _Queue:
        with self._changed:
            if len(self._seated) >= self._seats:
                raise NodeLocked(refusal)
            self._seated.add(threading.get_ident())
            queue = self._queues.setdefault(node, _Queue())
            queue.threads.append(threading.get_ident())
            queue.refusal = refusal
            return queue

    def _leave(self, node: str, queue: _Queue) -> None:
        with self._changed:
            self._seated.remove(threading.get_ident())
            queue.threads.remove(threading.get_ident())
            if not queue.threads:
                del self._queues[node]
            self._changed.notify_all()

    def _attempts(self, queue: _Queue, attempt: Callable[[], T], deadline: float) -> T:
        pause = 0.0 if self._come_first(queue, deadline) else FIRST_PAUSE
        while True:
            # At the deadline there is one last attempt.
            left = deadline - time.monotonic()
            time.sleep(max(0.0, min(pause, left)))
            try:
                return attempt()
            except NodeLocked as error:
                queue.refusal = error.message
                if time.monotonic() >= deadline:
                    raise
            pause = min(max(pause * GROWTH, FIRST_PAUSE), LONGEST_PAUSE)

    def _come_first(self, queue: _Queue, deadline: float) -> bool:
        """Wait to be the first. Whether others were before; raises NodeLocked when they stay."""
        with self._changed:
            waited = False
            while queue.threads[0] != threading.get_ident():
                waited = True
                if not self._changed.wait(deadline - time.monotonic()):
                    raise NodeLocked(queue.refusal)
            return waited
