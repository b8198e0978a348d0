"""The thread that does what a conductor does by the clock, and the chores that are one line."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from conductor.flows import Runner
from conductor.presence import Presence
from conductor.sweeps import Sweeps
from conductor.toolbox import Toolbox
from drophammer import allocations, events, history, outage

LOG = logging.getLogger(__name__)
CUT_BATCH = 500
CUT_SECONDS = 3600.0
FORGET_BATCH = 1000
FORGET_INTERVAL = 60.0
FORGET_SECONDS = 1.0


class Periodic:
    """One thread that runs the conductor's chores, each at its own interval."""

    def __init__(self, box: Toolbox, runner: Runner, presence: Presence) -> None:
        self._box = box
        self._presence = presence
        self._sweeps = Sweeps(box, runner)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="periodic", daemon=True)

    def start(self) -> None:
        """Begin; the first sweep is at once, for what an earlier process left behind."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the chore that is running."""
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Show that this conductor lives and push out the leases it holds."""
        self._presence.beat()

    def sweep(self, *, first: bool = False) -> None:
        """End what is past its deadline; go on with what nobody works on any more.

        The ``first`` one also looks for ramdisks that may have spoken to nobody.
        """
        self._sweeps.orphans(first=first)
        self._sweeps.lost_boots()
        self._sweeps.overdue()

    def allocate(self) -> None:
        """Try again the allocations that wait for nodes that were held by others."""
        settings = self._box.settings
        patience = settings.locked_attempts * settings.locked_interval
        allocations.retry(self._box.store, patience)

    def cut_history(self) -> None:
        """Forget the oldest entries of nodes that have more of them than are to be kept."""
        kept = self._box.settings.history_entries
        with self._box.store.read() as session:
            node_ids = history.too_long(session, kept, CUT_BATCH)
        for node_id in node_ids:
            with self._box.store.write() as session:
                history.cut(session, node_id, kept)

    def forget_events(self) -> None:
        """Delete events that are older than they are to be kept, a batch at a time.

        For a moment only, not to hold up the next beat: there is another minute.
        """
        store = self._box.store
        kept = datetime.timedelta(days=self._box.settings.event_retention_days)
        end = time.monotonic() + FORGET_SECONDS
        while kept and time.monotonic() < end:
            with store.ask() as connection:
                old = events.oldest(connection, store.clock.now() - kept, FORGET_BATCH)
            if old:
                with store.write() as session:
                    events.forget(session, old[-1])
            if len(old) < FORGET_BATCH:
                return

    def _run(self) -> None:
        settings = self._box.settings
        self._chore(self.beat)
        self._chore(partial(self.sweep, first=True))
        chores: list[tuple[float, Callable[[], None]]] = [
            (settings.heartbeat_interval, self.beat),
            # With each beat: what a dead conductor held is free a lease after its last one.
            (settings.heartbeat_interval, self._sweeps.orphans),
            (settings.sweep_interval, self._sweeps.lost_boots),
            (settings.sweep_interval, self._sweeps.overdue),
            (settings.locked_interval, self.allocate),
            (CUT_SECONDS, self.cut_history),
            (FORGET_INTERVAL, self.forget_events),
        ]
        due = [time.monotonic() + interval for interval, _ in chores]
        while not self._stop.wait(max(0.0, min(due) - time.monotonic())):
            for number, (interval, chore) in enumerate(chores):
                if due[number] <= time.monotonic():
                    due[number] = time.monotonic() + interval
                    self._chore(chore)

    def _chore(self, chore: Callable[[], None]) -> None:
        # Whatever happened, the next beat must come: without it all work here is lost.
        try:
            chore()
        except Exception as error:
            outage.log(LOG, error, "a chore of the conductor did not work this time")
