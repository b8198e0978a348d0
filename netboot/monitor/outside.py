"""A service that is a program outside of ours: what it should do, and a ``Daemon`` that does it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence

from drophammer.errors import DrophammerError
from drophammer.netns import Namespace
from netboot.monitor.daemons import Daemon
from netboot.monitor.ports import Door, require, who_has
from netboot.monitor.service import (
    CHILD,
    DEAD,
    OFF,
    ON,
    RUNNING,
    STARTING,
    SYSTEMD,
    UNAVAILABLE,
    Actual,
    Expected,
)
from netboot.services.process import nothing


class OutsideService:
    """A ``Managed``. ``prepare`` is called before each start: it writes and checks files.

    ``doors`` are the ports it needs: who has them instead is named when it does not run.
    """

    def __init__(
        self,
        name: str,
        daemon: Daemon,
        expected: Expected,
        *,
        doors: Sequence[Door],
        namespace: Namespace,
        loggers: Sequence[str] = (),
        prepare: Callable[[], None] = nothing,
    ) -> None:
        self.name = name
        self.loggers = loggers
        self._daemon = daemon
        self._expected = expected
        self._doors = doors
        self._namespace = namespace
        self._prepare = prepare
        self._failure = ""
        self._over = False
        # A restart that somebody asks for and the monitor's own must not cross.
        self._changing = threading.RLock()

    @property
    def unit(self) -> str | None:
        return self._daemon.unit

    @property
    def managed_by(self) -> str:
        return self._daemon.managed_by

    def watch(self, changed: Callable[[], None]) -> None:
        self._daemon.watch(changed)

    def expected(self) -> Expected:
        return self._expected

    def actual(self) -> Actual:
        have = self._daemon.actual()
        if have.state in (RUNNING, STARTING, UNAVAILABLE):
            return have
        if self._failure:
            return dataclasses.replace(have, state=DEAD, reason=self._failure)
        taken = who_has(self._doors, self._namespace) if have.state == DEAD else ""
        if not taken or taken in have.reason:
            return have
        return dataclasses.replace(have, reason=f"{have.reason}; {taken}")

    def ensure(self) -> None:
        want = self.expected().state
        with self._changing:
            have = self._daemon.actual().state
            up = have in (RUNNING, STARTING)
            if self._over:
                return
            # A child that died is started again by who keeps it.
            if want == ON and not up and (have, self.managed_by) != (DEAD, CHILD):
                self._begin()
            elif want == OFF and up:
                self._daemon.stop()

    def restart(self) -> None:
        with self._changing:
            self._daemon.stop()
            self._begin()

    def stop(self) -> None:
        with self._changing:
            # A look may be under way that would start it again.
            self._over = True
            self._daemon.leave()

    def _begin(self) -> None:
        with self._noting():
            self._prepare()
            if self._daemon.managed_by != SYSTEMD and self._daemon.actual().state == OFF:
                require(self.name, self._doors, self._namespace)
            self._daemon.start()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """What goes wrong is the reason that is shown until something else comes of it."""
        try:
            yield
        except DrophammerError as error:
            self._failure = error.message
            raise
        self._failure = ""
