"""Has every file of the next snapshot: from the cache, from the current one, or fetched.

A group of which one file cannot be had stays as the current snapshot has it, and the
other groups go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drophammer.errors import Unavailable
from netboot.importing.gathering import Gathered, Offer, failure, groups_of
from netboot.importing.progress import Progress
from netboot.importing.report import Report
from netboot.resources.cache import Cache, Stored
from netboot.resources.durable import DiskTrouble
from netboot.resources.index import FileEntry, Index
from netboot.resources.tree import Snapshot


class Cancelled(Unavailable):
    """The import was told to stop."""


class Fetching:
    """``wrote`` is told of bytes that have come, and raises Cancelled to end it."""

    def __init__(
        self,
        cache: Cache,
        former: Index,
        current: Snapshot | None,
        report: Report,
        progress: Progress,
        wrote: Callable[[int], None],
    ) -> None:
        self.troubles: list[str] = []
        self._cache = cache
        self._former = former
        self._current = current
        self._report = report
        self._progress = progress
        self._wrote = wrote
        self._by_content: Mapping[str, str] = {
            entry.sha256: path for path, entry in former.files.items()
        }

    def fetch(self, gathered: Gathered) -> dict[str, FileEntry]:
        """The files of the next snapshot, all in the cache. Raises Cancelled or DiskTrouble."""
        files: dict[str, FileEntry] = {}
        self._expect(gathered)
        for group, offers in gathered.offers.items():
            if group in gathered.broken:
                continue
            try:
                files.update({path: self._had(offer) for path, offer in offers.items()})
            except _Failed:
                gathered.broken.add(group)
        if gathered.broken:
            former = groups_of(self._former)
            for group in sorted(gathered.broken):
                files.update(self._kept(group, former.get(group, {})))
        return files

    def _expect(self, gathered: Gathered) -> None:
        # By content: what several images have is fetched once.
        wanted = {
            offer.entry.sha256 or path: offer.entry.size or 0
            for group, offers in gathered.offers.items()
            for path, offer in offers.items()
            if group not in gathered.broken and self._find(offer.entry.sha256) is None
        }
        self._progress.expect(len(wanted), sum(wanted.values()))

    def _had(self, offer: Offer) -> FileEntry:
        entry = offer.entry
        stored = self._find(entry.sha256) or self._fetched(offer)
        return FileEntry(
            stored.sha256, stored.size, stored.mtime_ns, entry.version, offer.source, entry.origin
        )

    def _fetched(self, offer: Offer) -> Stored:
        entry = offer.entry
        self._progress.fetching(entry.path)
        self._wrote(0)
        try:
            stored = self._cache.add(entry, self._wrote)
        except (Cancelled, DiskTrouble):
            raise
        except Exception as error:  # a source may come from anywhere; other files go on
            self._report.failures.append(failure(offer.source, entry.path, error))
            raise _Failed from error
        self._progress.fetched()
        self._report.files += 1
        self._report.bytes += stored.size
        return stored

    def _kept(self, group: str, kept: dict[str, FileEntry]) -> dict[str, FileEntry]:
        """A group as the current snapshot has it; nothing when it is not whole any more."""
        for path, entry in kept.items():
            if self._find(entry.sha256) is None:
                self.troubles.append(f"{path} is damaged and cannot be had again; {group} goes.")
                return {}
        return kept

    def _find(self, sha256: str | None) -> Stored | None:
        """Content that is here: in the cache, or, when that was lost, in the current snapshot."""
        if sha256 is None:
            return None
        stored = self._cache.get(sha256)
        path = self._by_content.get(sha256)
        if stored is None and self._current is not None and path is not None:
            return self._cache.rescue(self._current.path / path, sha256)
        return stored


class _Failed(Exception):
    """A file of a group could not be had; the report says why."""
