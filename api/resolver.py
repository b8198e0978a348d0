"""Names to addresses, within a budget: the system's resolver knows no deadline of its own.

Answers are kept for a while. A name is asked for in a thread of its own, which
goes on when nobody waits any more: whoever comes again finds its answer here.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Collection

SECONDS = 2.0
WAITING = 2
LOOKUPS = 8
SECONDS_KEPT = 60.0


class Resolver:
    """Safe between threads. At most ``waiting`` callers wait, ``lookups`` names are asked for."""

    def __init__(
        self,
        *,
        seconds: float = SECONDS,
        waiting: int = WAITING,
        lookups: int = LOOKUPS,
        seconds_kept: float = SECONDS_KEPT,
    ) -> None:
        self._seconds = seconds
        self._seconds_kept = seconds_kept
        self._lookups = lookups
        self._turns = threading.BoundedSemaphore(waiting)
        self._changed = threading.Condition()
        self._known: dict[str, tuple[float, frozenset[str]]] = {}
        self._asking: set[str] = set()

    def addresses(self, names: Collection[str]) -> dict[str, frozenset[str]]:
        """The addresses of each name, none for one that does not exist.

        A name is missing when its answer did not come in time, or others wait already.
        """
        deadline = time.monotonic() + self._seconds
        with self._changed:
            found = self._found(names)
        if len(found) == len(set(names)) or not self._turns.acquire(blocking=False):
            return found
        try:
            with self._changed:
                while len(found := self._found(names)) < len(set(names)):
                    self._ask(set(names) - set(found))
                    left = deadline - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
                return found
        finally:
            self._turns.release()

    def _found(self, names: Collection[str]) -> dict[str, frozenset[str]]:
        now = time.monotonic()
        for name in [name for name, (until, _) in self._known.items() if until < now]:
            del self._known[name]
        return {name: self._known[name][1] for name in names if name in self._known}

    def _ask(self, names: Collection[str]) -> None:
        for name in sorted(set(names) - self._asking):
            if len(self._asking) >= self._lookups:
                return
            self._asking.add(name)
            threading.Thread(
                target=self._resolve, args=(name,), daemon=True, name="resolve-name"
            ).start()

    def _resolve(self, name: str) -> None:
        found: frozenset[str] = frozenset()
        try:
            found = frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(name, None))
        except (OSError, UnicodeError):
            pass  # no such name: known for as long as an answer is
        finally:
            with self._changed:
                self._asking.discard(name)
                self._known[name] = (time.monotonic() + self._seconds_kept, found)
                self._changed.notify_all()
