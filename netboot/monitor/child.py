"""A program outside of ours as our child: started, watched and ended by ``services/process.py``."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from drophammer.errors import Unavailable
from netboot.monitor.service import CHILD, DEAD, OFF, RUNNING, STARTING, UNAVAILABLE, Actual
from netboot.services.command import find
from netboot.services.process import FIRST_PAUSE, Supervised, nothing

SETTLE_SECONDS = 0.3
"""Who lasts so long has got past what makes programs end at once."""


class Child:
    """A ``Daemon``. ``argv`` is what is executed, ``program`` what must be installed for it.

    ``heard`` gets each line of its standard error, in a thread of this object; ``again`` is called
    there before it is started once more.
    """

    managed_by = CHILD

    def __init__(
        self,
        program: str,
        argv: Sequence[str],
        *,
        package: str,
        heard: Callable[[str], None] | None = None,
        again: Callable[[], None] = nothing,
        end_signal: signal.Signals = signal.SIGTERM,
        variables: Mapping[str, str] | None = None,
        unit: str | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.unit = unit
        self._program = program
        self._argv = argv
        self._package = package
        self._log = logging.getLogger(f"{__name__}.{program.rpartition('/')[2]}")
        self._heard = heard or self._write_down
        self._again = again
        self._end_signal = end_signal
        self._variables = variables
        self._first_pause = first_pause
        self._changed: Callable[[], None] = nothing
        self._lock = threading.Lock()
        self._child: Supervised | None = None
        self._begun = 0.0
        self._spawned = False

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def actual(self) -> Actual:
        child = self._child
        if child is None:
            return self._absent() or Actual(OFF, "not started")
        pid = child.pid
        if pid is None and not self._spawned:
            return Actual(STARTING)
        if pid is None:
            return self._absent() or Actual(DEAD, child.state)
        if time.monotonic() - self._begun < SETTLE_SECONDS:
            return Actual(STARTING, "", pid)
        return Actual(RUNNING, "", pid)

    def start(self) -> None:
        with self._lock:
            if self._child is not None:
                return
            missing = self._absent()
            if missing is not None:
                raise Unavailable(missing.reason)
            child = Supervised(
                self._program,
                self._argv,
                heard=self._heard,
                began=self._began,
                ended=self._ended,
                again=self._again,
                end_signal=self._end_signal,
                variables=self._variables,
                first_pause=self._first_pause,
            )
            self._begun, self._spawned = time.monotonic(), False
            child.start()
            self._child = child

    def stop(self) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.stop()

    def leave(self) -> None:
        self.stop()

    def _absent(self) -> Actual | None:
        if find(self._program) is not None:
            return None
        return Actual(
            UNAVAILABLE,
            f"the program {self._program} is not installed here; install the package "
            f"{self._package}",
        )

    def _began(self) -> None:
        self._begun, self._spawned = time.monotonic(), True
        self._changed()

    def _ended(self) -> None:
        self._spawned = True
        self._changed()

    def _write_down(self, line: str) -> None:
        self._log.info("%s", line)
