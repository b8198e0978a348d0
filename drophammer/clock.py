"""Time as a dependency, so that deadlines and leases can be tested without waiting."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

LOG = logging.getLogger(__name__)
RESYNC_SECONDS = 30.0
RETRY_SECONDS = 5.0


class Clock(Protocol):
    """Gives the present moment as an aware UTC datetime."""

    def now(self) -> datetime.datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)


class DatabaseClock:
    """The database server's clock, which is one for all who share the database.

    ``ask`` reads it. Between two readings, which are ``RESYNC_SECONDS`` apart, the monotonic
    clock of this machine tells how far it must be, so that hosts whose own clocks are
    minutes apart agree to within the time that a question takes. When the database does
    not answer, the last reading has to do.
    """

    def __init__(self, ask: Callable[[], datetime.datetime]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._read: tuple[datetime.datetime, float] | None = None
        self._next = 0.0

    def now(self) -> datetime.datetime:
        with self._lock:
            due = time.monotonic() >= self._next
            if due:
                # One thread asks; the others go by the last reading meanwhile.
                self._next = time.monotonic() + RETRY_SECONDS
        if due or self._read is None:
            self._sync()
        moment, at = self._read or (datetime.datetime.now(datetime.UTC), time.monotonic())
        return moment + datetime.timedelta(seconds=time.monotonic() - at)

    def _sync(self) -> None:
        began = time.monotonic()
        try:
            moment = self._ask()
        except Exception:
            # Whoever asked is about to find out for himself that the database is away.
            LOG.warning("could not ask the database what time it is", exc_info=self._read is None)
            return
        ended = time.monotonic()
        with self._lock:
            self._read = (moment, (began + ended) / 2)
            self._next = ended + RESYNC_SECONDS


class FakeClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._now = start or datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def now(self) -> datetime.datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += datetime.timedelta(seconds=seconds)
