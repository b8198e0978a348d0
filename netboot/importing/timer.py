"""Imports at start, then at each interval, and when somebody asks for it.

One thread, which waits. A run that fails is told of and does not stop the next one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from drophammer.errors import Conflict, DrophammerError, Unavailable
from netboot.importing.progress import RUNNING, status
from netboot.importing.run import Importer

log = logging.getLogger(__name__)

GRACE_SECONDS = 1.5
WATCH_SECONDS = 2.0
"""So long may the iSCSI server not know what another process has imported."""


class ImportTimer:
    """Owns the importer of a netboot. ``interval`` None: only when asked."""

    def __init__(self, importer: Importer, interval: float | None) -> None:
        self._importer = importer
        self._interval = interval
        self._state = threading.Condition()
        self._stopping = False
        # Runs by number, in this process: the one that is asked for, begun, ended.
        self._asked = 1 if interval is not None else 0
        self._begun = self._ended = 0
        self._thread = threading.Thread(target=self._work, name="import", daemon=True)

    def start(self) -> None:
        """Begin, with a run."""
        self._thread.start()

    def stop(self) -> None:
        """End a run that is going on, and begin no more."""
        with self._state:
            self._stopping = True
            self._state.notify_all()
        self._importer.cancel()
        if self._thread.is_alive():
            self._thread.join(GRACE_SECONDS)

    def import_now(self) -> dict[str, Any]:
        """Have a run that begins after this call; ``run`` is its number. Raises Unavailable.

        Those who ask while one goes on share the one that follows it.
        """
        with self._state:
            if self._stopping:
                raise Unavailable("Netboot is being stopped; import when it runs again.")
            self._asked = self._begun + 1
            self._state.notify_all()
        return self.status()

    def status(self) -> dict[str, Any]:
        """How far it is. A run that was asked for is over when ``ended`` is its number."""
        with self._state:
            # Not before: a run that ends meanwhile would have ended, and be told as running.
            told = status(self._importer.resources.root)
            if self._begun > self._ended and told["state"] != RUNNING:
                told.update(state=RUNNING, message="waiting for the import of another process")
            return {**told, "asked": self._asked, "ended": self._ended}

    def _work(self) -> None:
        # Something may have been imported while we were away, and the next import may take long.
        self._tried(self._importer.tell_targets)
        while self._due():
            self._tried(lambda: self._importer.run(wait=self._asked_for()))
            with self._state:
                self._ended = self._begun
                self._state.notify_all()

    def _due(self) -> bool:
        """Wait for the next run; False when there is none.

        Now and then it is looked whether the command line has imported meanwhile.
        """
        due = None if self._interval is None else time.monotonic() + self._interval
        while not self._asked_or_stopped(WATCH_SECONDS):
            if due is not None and time.monotonic() >= due:
                break
            self._tried(self._importer.tell_targets)
        with self._state:
            self._begun += not self._stopping
            return not self._stopping

    @staticmethod
    def _tried(work: Callable[[], object]) -> None:
        """Whatever it ends with is told of, and does not end this thread."""
        try:
            work()
        except Conflict as error:
            log.info("%s", error.message)
        except DrophammerError as error:
            log.warning("import: %s", error.message)
        except Exception:  # the next run is in an hour
            log.exception("the import failed")

    def _asked_or_stopped(self, seconds: float) -> bool:
        with self._state:
            return self._state.wait_for(
                lambda: self._stopping or self._asked > self._begun,
                seconds if self._interval is None else min(seconds, self._interval),
            )

    def _asked_for(self) -> bool:
        """Whether somebody waits for this run; what the clock began may be left to others."""
        with self._state:
            return self._asked >= self._begun
