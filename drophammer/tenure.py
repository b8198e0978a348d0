"""For how long a process may rely on its leases without asking the database.

The database decides who holds a node, and every write names the lease's fence. What
goes to a power controller or an agent passes no database: a process that was stopped
for longer than its leases last (SIGSTOP, swapping, a paused machine) must find out by
itself, before its next packet, that they are no longer its own. The monotonic clock
goes on while a process stands still; that is what this file counts on.

What was taken from a process that lives, by an operator, it finds out at its next
renewal: a lease that was not among those that were renewed is not its own any more.
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


# A lease: node and fence.
Key = tuple[int, int]


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
        # What is ours: committed since the last renewal, or renewed by it.
        self._held: set[Key] = set()

    def taken(self) -> Moment:
        """What a lease has to remember that is being taken now."""
        with self._lock:
            return Moment(self._era, self.monotonic())

    def settled(self, key: Key) -> None:
        """A lease has been committed: no renewal that begins from now on may miss it."""
        with self._lock:
            self._held.add(key)

    def left(self, moment: Moment, seconds: float, key: Key | None = None) -> float:
        """Seconds for which a lease taken at ``moment``, for ``seconds``, is surely ours.

        Zero or less: it may be somebody else's. Without a ``key`` it is none that could be
        taken away, but a look at what nobody holds.
        """
        with self._lock:
            if moment.era != self._era or (key is not None and key not in self._held):
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
                self._held.clear()
            return late

    @contextmanager
    def renewal(self, seconds: float) -> Iterator[set[Key]]:
        """Around the transaction that renews all leases for ``seconds``.

        Which these were goes into the set that is given. Of what was held before, the others
        are lost; what is being taken meanwhile it may know or not.
        """
        began = self.monotonic()
        with self._lock:
            before = frozenset(self._held)
        renewed: set[Key] = set()
        yield renewed
        with self._lock:
            self._held -= before
            self._held |= renewed
            self._until = began + seconds
