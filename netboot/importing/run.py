"""One import: ask the sources, fetch what is new, build a snapshot, swap it in, tidy up.

Only the order of things is here. Whatever happens, and wherever the process is
ended, the current snapshot is whole, and the next run goes on from the cache.
"""

from __future__ import annotations

import datetime
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from drophammer.clock import Clock, SystemClock
from drophammer.errors import DrophammerError, Unavailable
from netboot.importing.fetching import Cancelled, Fetching
from netboot.importing.gathering import Gathering
from netboot.importing.lock import run_lock
from netboot.importing.progress import Progress, Tell
from netboot.importing.report import Report
from netboot.importing.source import Source
from netboot.resources import garbage, index
from netboot.resources import targets as targets_file
from netboot.resources.bootmethods import METHODS, BootMethod
from netboot.resources.building import build, write_targets
from netboot.resources.cache import Cache
from netboot.resources.durable import disk
from netboot.resources.index import Damaged, FileEntry, Index
from netboot.resources.loaders import LoaderLinks, Plan
from netboot.resources.tree import Resources, Snapshot

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
"""How often a run looks whether another process has ended its own."""


class Targets(Protocol):
    """Who lets the iSCSI server know its targets."""

    def update(self, conf: Path) -> None:
        """Raises domain errors."""


class Importer:
    """Brings the boot resources to what ``sources`` tells when it is called.

    ``used`` tells the snapshots that boots name; nothing is removed when it raises.
    """

    def __init__(
        self,
        resources: Resources,
        sources: Callable[[], Sequence[Source]],
        *,
        used: Callable[[], Collection[str]],
        keep: datetime.timedelta = datetime.timedelta(hours=24),
        targets: Targets | None = None,
        clock: Clock | None = None,
        tell: Tell = lambda _line, _data: None,
        methods: Sequence[BootMethod] = METHODS,
    ) -> None:
        self.resources = resources
        self._sources = sources
        self._used = used
        self._keep = keep
        self._targets = targets
        self._clock = clock or SystemClock()
        self._tell = tell
        self._methods = methods
        self._cancelled = threading.Event()
        self._told: tuple[int, int] | None = None

    def cancel(self) -> None:
        """End the run that is going on, and let no other one begin."""
        self._cancelled.set()

    def run(self, *, wait: bool = False, thorough: bool = False) -> Report:
        """Import once. ``wait``: until another process has ended its own run.

        ``thorough`` reads every file in the cache, to find what a disk has damaged. Raises
        Conflict when another one runs, Cancelled, DiskTrouble, Unavailable.
        """
        with run_lock(self.resources.root, self._pause if wait else None):
            progress = Progress(self.resources.root, self._clock, self._tell)
            progress.begin()
            try:
                # What sources do is seen to where they are asked: this is our own disk.
                with disk("importing", self.resources.root):
                    report = _Run(self, progress, thorough).run()
            except BaseException as error:
                progress.fail(_why(error))
                raise
            progress.end(report)
            return report

    def collect(self) -> list[str]:
        """Remove snapshots that nobody needs any more, and return their names.

        Raises Conflict, DiskTrouble, Unavailable.
        """
        root = self.resources.root
        with run_lock(root, self._pause), disk("collecting", root):
            garbage.clean(self.resources)
            removed = self._collect()
            write_targets(self.resources)
            self.tell_targets()
            return removed

    def tell_targets(self) -> None:
        """Let the iSCSI server know its targets, if it does not know them as they are now."""
        current = self.resources.current()
        if self._targets is None or current is None:
            return
        conf = current.path / targets_file.NAME
        found = _identity(conf)
        if found is not None and found != self._told:
            self._told = found
            self._targets.update(conf)

    def _pause(self) -> None:
        if self._cancelled.wait(LOOK_SECONDS):
            raise _cancelled()

    def _collect(self) -> list[str]:
        return garbage.collect(self.resources, self._used, self._keep, self._clock.now())


class _Run:
    """One run, with all that belongs to it alone."""

    def __init__(self, importer: Importer, progress: Progress, thorough: bool) -> None:
        self._of = importer
        self._progress = progress
        self._resources = importer.resources
        self._current = self._resources.current()
        self._former, self._blind = _known(self._current)
        trusted = {
            entry.sha256: (entry.size, entry.mtime_ns) for entry in self._former.files.values()
        }
        self._cache = Cache(self._resources.root, trusted, thorough=thorough)
        self._report = Report()

    def run(self) -> Report:
        garbage.clean(self._resources)
        self._make_room()
        sources = self._of._sources()
        if sources:
            self._import(sources)
        else:
            self._report.notes.append("no source is configured")
        current = self._resources.current()
        self._report.snapshot = current.name if current else None
        self._tidy()
        return self._report

    def _import(self, sources: Sequence[Source]) -> None:
        gathered = Gathering(self._former, self._resources.target_prefix).ask(sources)
        self._report.failures += gathered.failures
        self._check_sight()
        fetching = Fetching(
            self._cache, self._former, self._current, self._report, self._progress, self._wrote
        )
        plan = Plan(fetching.fetch(gathered))
        self._check_sight()
        for message in fetching.troubles:
            self._trouble(message)
        links = LoaderLinks(
            self._of._methods,
            self._cache,
            self._current.path if self._current else None,
            self._former,
            self._trouble,
        )
        if plan.files:
            links.complete(plan)
        self._report.missing += links.missing
        self._check_cancelled()
        if self._is_current(plan):
            self._touch(plan.index())
        elif plan.files:
            build(self._resources, self._cache, plan, self._of._clock.now())
            self._report.changed = True
        else:
            self._report.notes.append("the sources have nothing; what there is stays")

    def _check_sight(self) -> None:
        """Raise Unavailable when something must stay as it was, and nobody knows how that is."""
        if self._blind and not self._report.ok:
            raise Unavailable(
                f"{self._report.failures[0]} And the index of the current boot resources is "
                "damaged, so that what could not be had would be lost; import again."
            )

    def _wrote(self, size: int) -> None:
        self._check_cancelled()
        self._progress.wrote(size)

    # What is new

    def _is_current(self, plan: Plan) -> bool:
        """Whether machines have all of it already, undamaged."""
        return (
            self._current is not None
            and plan.index().same_content(self._former)
            and all(self._is_linked(path, entry) for path, entry in plan.files.items())
            and all(self._leads(*link) for link in (*plan.root.items(), *plan.system.items()))
        )

    def _is_linked(self, path: str, entry: FileEntry) -> bool:
        assert self._current is not None
        try:
            return os.path.samefile(self._current.path / path, self._cache.path(entry.sha256))
        except OSError:
            return False

    def _leads(self, name: str, target: str) -> bool:
        assert self._current is not None
        try:
            return os.readlink(self._current.path / name) == target
        except OSError:
            return False

    def _touch(self, found: Index) -> None:
        """Note that it was looked at, and what sources want to know next time."""
        assert self._current is not None
        try:
            if found != self._former:
                index.write(self._current.path, found)
            os.utime(self._current.path / index.NAME)
        except OSError as error:
            self._trouble(f"the index was not touched: {error}")

    # What goes before and after. The import counts even if this fails.

    def _make_room(self) -> None:
        """Else a full disk, or a mirror that is gone for good, would keep all for ever."""
        with self._no_more_than_trouble():
            if removed := self._of._collect():
                self._report.removed += removed
                write_targets(self._resources)
            # What was fetched lately by a run that failed, this one may need.
            self._cache.clear(self._of._clock.now() - self._of._keep)

    def _tidy(self) -> None:
        """What is no longer needed goes; iSCSI is told."""
        with self._no_more_than_trouble():
            self._report.removed += self._of._collect()
            if self._report.ok and self._report.snapshot is not None:
                self._cache.clear()
        with self._no_more_than_trouble():
            write_targets(self._resources)
            # After each run, whether it had anything new: tgtd may have been started anew.
            self._of._told = None
            self._of.tell_targets()

    @contextmanager
    def _no_more_than_trouble(self) -> Iterator[None]:
        try:
            yield
        except DrophammerError as error:
            self._trouble(error.message)

    def _trouble(self, message: str) -> None:
        self._report.notes.append(message)
        log.warning("import: %s", message)
        self._of._tell(f"import: {message}", {"state": "warning"})

    def _check_cancelled(self) -> None:
        if self._of._cancelled.is_set():
            raise _cancelled()


def _known(current: Snapshot | None) -> tuple[Index, bool]:
    """What the current snapshot has, and whether that cannot be known."""
    if current is None:
        return Index(), False
    try:
        return current.index(), False
    except Damaged as error:
        log.warning("%s", error.message)
        return Index(), True


def _identity(path: Path) -> tuple[int, int] | None:
    """What is another one whenever the file was written anew."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _cancelled() -> Cancelled:
    return Cancelled("The import was stopped; what machines boot is as it was.")


def _why(error: BaseException) -> str:
    if isinstance(error, DrophammerError):
        return error.message
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return "the import was stopped; what machines boot is as it was"
    return f"the import ended with {type(error).__name__}: {error}".rstrip(": ")
