"""Tells the conductor, over and over, that this agent lives and where.

The first beat goes out at once, and another as soon as a command ends: the
conductor waits for it to go on. While a command runs and the conductor asked for
it, beats in between carry its progress.
"""

from __future__ import annotations

import random
import threading
import time

from agent.console import say
from agent.errors import ApiUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent.jobs import Job
    from agent.lookup import Found

    Json = dict[str, Any]

_NORMAL_SPREAD = (0.3, 0.6)
_ERROR_SECONDS = (5.0, 10.0)


class Heartbeats:
    """Beats for one found node; ``run`` returns only after ``stop``."""

    def __init__(
        self,
        found: Found,
        callback_url: str,
        certificate: str,
        running: Callable[[], Job | None],
        error_pause: tuple[float, float] = _ERROR_SECONDS,
    ) -> None:
        self._error_pause = error_pause
        self._found, self._callback_url = found, callback_url
        self._certificate, self._running = certificate, running
        self._wake = threading.Condition()
        self._due = 0.0
        self._nudges = 0
        self._stopped = False

    def nudge(self) -> None:
        """Send a beat now: a command has ended."""
        with self._wake:
            self._nudges += 1
            self._wake.notify()

    def look(self) -> None:
        """Look whether progress is to be reported: a command has begun."""
        with self._wake:
            self._wake.notify()

    def stop(self) -> None:
        """Let ``run`` return."""
        with self._wake:
            self._stopped = True
            self._wake.notify()

    def run(self) -> None:
        """Beat until stopped."""
        answered = 0
        while True:
            with self._wake:
                if self._nudges == answered and not self._stopped:
                    self._wake.wait(self._seconds_left())
                if self._stopped:
                    return
                nudged, answered = self._nudges > answered, self._nudges
            # A beat that fails is sent again after its pause, nudge or not.
            self._beat(regular=nudged or time.monotonic() >= self._due)

    def _seconds_left(self) -> float:
        left = self._due - time.monotonic()
        interval = self._found.progress_interval
        if interval and self._running():
            left = min(left, interval)
        return max(0.0, left)

    def _beat(self, *, regular: bool) -> None:
        """One beat; a progress beat leaves the time of the next regular one as it is.

        A regular one carries no progress: the server wakes the conductor for it,
        which then sees that the command still runs and gives it more time.
        """
        found, job = self._found, self._running()
        progress = None
        if not regular:
            if job is None or not found.progress_interval:
                return
            progress = _progress_of(job)
        try:
            answer = found.api.heartbeat(
                found.uuid, self._callback_url, found.token, self._certificate, progress
            )
            failure = "" if answer.status == 202 else f"status {answer.status}"
        except ApiUnreachable as error:
            failure = error.message
        if failure:
            say(f"heartbeat: not accepted: {failure}")
            self._due = time.monotonic() + random.uniform(*self._error_pause)
        elif regular:
            spread = random.uniform(*_NORMAL_SPREAD)
            self._due = time.monotonic() + found.heartbeat_timeout * spread


def _progress_of(job: Job) -> Json:
    return {
        "command": job.command.name.partition(".")[2],
        "step": job.progress.step,
        "done": job.progress.done,
        "total": job.progress.total,
        "message": job.progress.message,
    }
