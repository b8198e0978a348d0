"""Looks after the services of this host: at once when one says that it changed, and every so often.

What it finds is written to the table ``services`` and told as events. What should run and does
not is started again, after ever longer pauses when that fails. One thread looks, and each service
is tended in one of its own, so that none waits for another's program; nothing here knows what a
service is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from drophammer import events, services
from drophammer.clock import Clock
from drophammer.errors import Conflict, DrophammerError, NotFound
from drophammer.services import Told
from drophammer.store import Store
from netboot.monitor.record import Record
from netboot.monitor.service import DEAD, OFF, ON, STARTING, UNAVAILABLE, Managed

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0
SETTLING_SECONDS = 0.5
"""What is starting is looked at again so soon."""

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
PATIENCE_SECONDS = 5.0
"""A look waits so long for all services, and then goes on without those that take longer."""

_KEPT_NEWS = 1000
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class _News:
    """An event to be written."""

    message: str
    data: dict[str, object]


class Monitor:
    """All services of one netboot host."""

    def __init__(
        self,
        found: Sequence[Managed],
        store: Store,
        clock: Clock,
        hostname: str,
        *,
        interval: float = INTERVAL_SECONDS,
        first_pause: float = FIRST_PAUSE,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._services = {service.name: service for service in found}
        self._store = store
        self._clock = clock
        self._hostname = hostname
        self._interval = interval
        self._first_pause = first_pause
        self._patience = patience
        self._records = {
            service.name: Record(service, service.expected()) for service in self._services.values()
        }
        self._news: deque[_News] = deque(maxlen=_KEPT_NEWS)
        self._written: dict[str, Told] = {}
        self._silent = False
        self._writing = threading.RLock()
        self._beginning = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="service-monitor", daemon=True)

    def start(self) -> None:
        """Look at all of them in the background, now and again and again."""
        for service in self._services.values():
            service.watch(self._wake.set)
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """Look no more, end what ends with this process, and write that it has ended."""
        self._stopping.set()
        self._wake.set()
        begun = self._thread.is_alive()
        if begun:
            self._thread.join(_STOP_SECONDS)
        with ThreadPoolExecutor(len(self._services), "stopping") as pool:
            ending = [pool.submit(service.stop) for service in self._services.values()]
        for name, done in zip(self._services, ending, strict=True):
            error = done.exception()
            if error is not None:
                log.warning("%s was not ended in an orderly way: %s", name, error)
        if begun:
            self._write_the_end()

    def service(self, name: str) -> Managed:
        """One of them. Raises NotFound, naming those that there are."""
        found = self._services.get(name)
        if found is None:
            raise NotFound(
                f"Host {self._hostname} has no service {name!r:.60}; it has "
                f"{', '.join(self._services)}."
            )
        return found

    def look(self) -> None:
        """See how each service is, start what should run and does not, write what changed."""
        for thread, limit in self._tended():
            thread.join(max(0.0, limit - time.monotonic()))
        if not self._stopping.is_set():
            self._write()

    def restart(self, name: str) -> Told:
        """Stop and start a service now; returns how it is then. Raises what stands in the way."""
        service = self.service(name)
        want = service.expected()
        if want.state == OFF:
            raise Conflict(
                f"{name} on {self._hostname} is expected off, so it is not started: {want.reason}."
            )
        record = self._records[name]
        with record.lock:
            self._tell(record, f"{name} on {self._hostname}: a restart was asked for")
            try:
                service.restart()
            except DrophammerError as error:
                self._failed(record, error.message)
                raise
            else:
                self._succeeded(record)
            finally:
                self._observe(record)
                self._write()
            return record.row()

    def trouble(self) -> str:
        """Which services do not run although they should; empty when all do.

        What this host has no means of running at all is none of its troubles.
        """
        dead = [
            f"{one.service.name} is {one.actual.state}: {one.actual.reason}"
            for one in self._records.values()
            if one.expected.state == ON and one.actual.state in (DEAD, OFF)
        ]
        return "; ".join(dead)

    # The thread

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._next_look())
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self.look()
            except Exception:
                # Whatever it is, the next look may go well, and nobody else would look.
                log.exception("the services could not be looked at")

    def _next_look(self) -> float:
        """Seconds until the next look: sooner when one is starting, or is to be tried again."""
        pause = self._interval
        now = time.monotonic()
        for record in self._records.values():
            if record.busy or record.actual.state == STARTING:
                pause = min(pause, SETTLING_SECONDS)
            elif record.failure:
                pause = min(pause, max(0.0, record.due - now))
        return pause

    # Details

    def _tended(self) -> list[tuple[threading.Thread, float]]:
        """Let all be tended that are not; who does it, and until when that is waited for."""
        with self._beginning:
            for record in self._records.values():
                if not record.busy and not self._stopping.is_set():
                    self._begin(record)
            tended = self._records.values()
            return [(one.tending, one.limit) for one in tended if one.tending is not None]

    def _begin(self, record: Record) -> None:
        # A daemon: whoever ends this process does not wait for a program that hangs.
        name = f"tending-{record.service.name}"
        record.tending = threading.Thread(target=self._tend, args=(record,), name=name, daemon=True)
        record.limit = time.monotonic() + self._patience
        record.tending.start()

    def _tend(self, record: Record) -> None:
        with record.lock:
            self._observe(record)
            if time.monotonic() < record.due or self._stopping.is_set():
                return
            try:
                record.service.ensure()
            except DrophammerError as error:
                self._failed(record, error.message)
            except Exception as error:
                log.exception("%s could not be looked after", record.service.name)
                self._failed(record, f"{type(error).__name__}; the log of netboot has more")
            else:
                self._succeeded(record)
            self._observe(record)

    def _failed(self, record: Record, failure: str) -> None:
        record.pause = min(max(2 * record.pause, self._first_pause), LONGEST_PAUSE)
        record.due = time.monotonic() + record.pause
        if failure != record.failure:
            record.failure = failure
            name = record.service.name
            log.warning("%s: %s", name, failure)
            self._tell(record, f"{name} on {self._hostname}: warning: {failure}")

    def _succeeded(self, record: Record) -> None:
        record.failure, record.pause, record.due = "", 0.0, 0.0

    def _observe(self, record: Record) -> None:
        """Take down how it is now, and whether that is worth an event."""
        record.expected = record.service.expected()
        have = record.actual = record.service.actual()
        told = record.told
        # What is starting has not got anywhere yet; a new pid was dead in between.
        if have.state == STARTING or (have.state, have.pid) == (told.state, told.pid):
            return
        record.told = have
        if have.state == UNAVAILABLE and record.expected.state != ON:
            return
        name = record.service.name
        why = f": {have.reason}" if have.reason else ""
        self._tell(record, f"{name} on {self._hostname} is {have.state}{why}")

    def _tell(self, record: Record, text: str) -> None:
        with self._writing:
            self._news.append(_News(text, record.data(self._hostname)))

    def _write(self) -> None:
        """What has changed and what is to be told, in one transaction; else only the time."""
        with self._writing:
            self._write_all()

    def _write_all(self) -> None:
        now = self._clock.now()
        told = {name: record.row() for name, record in self._records.items()}
        news = list(self._news)
        try:
            with self._store.write() as session:
                if told != self._written:
                    services.put_all(session, self._hostname, list(told.values()), now)
                else:
                    services.seen(session, self._hostname, now)
                for one in news:
                    events.record(
                        session,
                        node_id=None,
                        at=now,
                        source="netboot",
                        kind="service",
                        message=one.message,
                        data=dict(one.data),
                    )
        except SQLAlchemyError as error:
            # They are kept, and written by a later look.
            if not self._silent:
                log.warning("how the services are was not written: %s", type(error).__name__)
            self._silent = True
            return
        self._silent = False
        self._written = told
        for _ in news:
            self._news.popleft()

    def _write_the_end(self) -> None:
        for record in self._records.values():
            # Who still holds it is in a call to a program that takes its time.
            if record.lock.acquire(timeout=_STOP_SECONDS / 2 / len(self._records)):
                self._observe(record)
                record.lock.release()
        self._write()
