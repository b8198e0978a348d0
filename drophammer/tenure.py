"""For how long a process may rely on its leases without asking the database.

The database decides who holds a node, and every write names the lease's fence. What
goes to a power controller or an agent passes no database: a process that was stopped
for longer than its leases last (SIGSTOP, swapping, a paused machine) must find out by
itself, before its next packet, that they are no longer its own. The monotonic clock
goes on while a process stands still; that is what this file counts on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Moment(NamedTuple):
    """When, and in which era, a lease was taken."""

    era: int
    at: float


class Tenure:
    """One process life's hold on its leases: until when all of them are sure.

    ``era`` grows when a renewal came too late: what was held before is lost then, even
    if the database gives the node to nobody else. ``monotonic`` tells the seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._lock = threading.Lock()
        self._era = 0
        self._until = 0.0

    def taken(self) -> Moment:
        """What a lease has to remember that is being taken now."""
        with self._lock:
            return Moment(self._era, self.monotonic())

    def left(self, moment: Moment, seconds: float) -> float:
        """Seconds for which a lease taken at ``moment``, for ``seconds``, is surely ours.

        Zero or less: it may be somebody else's.
        """
        with self._lock:
            if moment.era != self._era:
                return 0.0
            return max(moment.at + seconds, self._until) - self.monotonic()

    def lapsed(self) -> bool:
        """Whether the last renewal is so long ago that leases may have run out.

        True only once for each time this happens; what was held before is lost from here on.
        """
        with self._lock:
            late = 0 < self._until <= self.monotonic()
            if late:
                self._era += 1
                self._until = 0.0
            return late

    @contextmanager
    def renewal(self, seconds: float) -> Iterator[None]:
        """Around the transaction that renews all leases for ``seconds``."""
        began = self.monotonic()
        yield
        with self._lock:
            self._until = began + seconds
