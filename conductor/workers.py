"""Threads that work on nodes, and a timer that brings work back later.

A node that waits, for a machine or for the clock, holds no thread: it is a row
in the database or an entry in the timer's heap.
"""

from __future__ import annotations

import concurrent.futures
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drophammer import trace
from drophammer.errors import Unavailable

LOG = logging.getLogger(__name__)
QUEUED_PER_THREAD = 16
RETRY_SECONDS = 1.0


@dataclass
class _Job:
    function: Callable[..., None]
    args: tuple[Any, ...]
    request: str
    refused: bool = False


class Workers:
    """A bounded pool of threads with a timer in front."""

    def __init__(self, size: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(size, "worker")
        self._size = size
        self._limit = size * QUEUED_PER_THREAD
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._pending = 0
        self._running = 0
        self._stopping = False
        self._timer = threading.Thread(target=self._run_timer, name="worker-timer", daemon=True)
        self._timer.start()

    @property
    def has_room(self) -> bool:
        """Whether no more work waits for a thread than there are threads."""
        return not self._stopping and self._pending < self._size

    def admit(self) -> None:
        """Raise Unavailable when so much is queued that new work had better come later."""
        with self._changed:
            if self._stopping:
                raise Unavailable("This conductor is stopping; try again in a moment.")
            if self._pending >= self._limit:
                raise Unavailable(
                    f"All workers of this conductor are busy ({self._pending} jobs are queued); "
                    "try again in a moment."
                )

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run ``function`` as soon as a thread is free. Silently dropped while stopping.

        Raises Unavailable when the system gives the pool no thread; it is never run then.
        """
        with self._changed:
            if self._stopping:
                return
            job = _Job(function, args, trace.request())
            self._pending += 1
            try:
                self._pool.submit(self._run, job)
            except RuntimeError as error:
                # The pool has queued it all the same: its other threads are to leave it alone.
                # None has looked at it yet, because we hold the lock.
                job.refused = True
                self._pending -= 1
                raise Unavailable(
                    f"This conductor could not start a thread for the work ({error}); try again "
                    "in a moment."
                ) from error

    def depths(self) -> dict[str, int]:
        """How much is running, how much waits for a thread, and how much for its time."""
        with self._changed:
            return {
                "running": self._running,
                "queued": self._pending - self._running,
                "later": len(self._due),
            }

    def later(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        """Run ``function`` in ``seconds``; until then it costs no thread."""
        with self._changed:
            entry = (time.monotonic() + seconds, next(self._order), function, args)
            heapq.heappush(self._due, entry)
            self._changed.notify()

    def stop(self, seconds: float) -> bool:
        """Let running work end its present step; drop what has not begun.

        Returns False when some of it did not end within ``seconds``, for
        instance because it waits for a power controller that does not answer.
        """
        with self._changed:
            self._stopping = True
            self._due.clear()
            self._changed.notify_all()
        self._timer.join()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout=seconds)

    def _run(self, job: _Job) -> None:
        with self._changed:
            if job.refused:
                return
            self._running += 1
        try:
            with trace.carried(job.request):
                job.function(*job.args)
        except BaseException:
            LOG.exception("work ended unexpectedly")
        finally:
            with self._changed:
                self._pending -= 1
                self._running -= 1
                self._changed.notify_all()

    def _run_timer(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._stopping:
                    return
                _, _, function, args = heapq.heappop(self._due)
            try:
                self.submit(function, *args)
            except Unavailable as error:
                # Nobody else knows of it: it is tried again for as long as that takes.
                LOG.warning("%s", error.message)
                self.later(RETRY_SECONDS, function, *args)
