"""What the next snapshot is to have, by what the sources say. Nothing is fetched here.

Files that belong together (an image, a folder of boot loaders) are one group: when
one of them cannot be had, the group stays as the current snapshot has it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drophammer.errors import DrophammerError, Invalid
from netboot.importing.report import Failure
from netboot.importing.source import Entry, Known, Source
from netboot.resources import names
from netboot.resources.durable import NO_ROOM
from netboot.resources.index import FileEntry, Index
from netboot.resources.targets import Names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """A file that a source has."""

    source: str
    entry: Entry


@dataclass
class Gathered:
    """``offers``: groups and their files by path; ``broken``: groups that stay as they are."""

    offers: dict[str, dict[str, Offer]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)


class Gathering:
    """Asks one source after the other. Of two that have the same image the first one counts."""

    def __init__(self, former: Index, target_prefix: str) -> None:
        self._former = former
        self._names = Names(target_prefix)
        self._owners: dict[str, str] = {}
        self._gathered = Gathered()

    def ask(self, sources: Sequence[Source]) -> Gathered:
        """All that they have."""
        for source in sources:
            try:
                entries = list(source.entries(known_of(self._former, source.name)))
            except Exception as error:  # a source may come from anywhere; the others go on
                self._fail(source.name, "", error)
                self._keep(source.name)
                continue
            for entry in entries:
                self._take(source.name, entry)
        return self._gathered

    def _keep(self, source: str) -> None:
        """All that this source gave last time stays, whoever else has it."""
        for path, entry in self._former.files.items():
            place = names.place(path)
            if entry.source != source or self._owners.get(place.group, source) != source:
                continue
            try:
                if place.image is not None:
                    self._names.claim(place.image)
            except Invalid as error:
                self._fail(source, path, error)
                continue
            self._owners[place.group] = source
            self._gathered.broken.add(place.group)

    def _take(self, source: str, entry: Entry) -> None:
        try:
            place = names.place(entry.path)
            if place.image is None:
                owner = self._owners.get(place.group, source)
                # Loaders of one method may come from several packages.
                mine = owner == source or place.group not in self._gathered.broken
            else:
                mine = self._owners.setdefault(place.group, source) == source
                if mine:
                    self._names.claim(place.image)
        except Invalid as error:
            self._fail(source, entry.path, error)
            self._gathered.broken.add(entry.path.rpartition("/")[0])
            return
        if mine:
            files = self._gathered.offers.setdefault(place.group, {})
            files.setdefault(entry.path, Offer(source, entry))
        else:
            log.info("%s is left to the source that has it already, not %s", entry.path, source)

    def _fail(self, source: str, path: str, error: Exception) -> None:
        self._gathered.failures.append(failure(source, path, error))


def failure(source: str, path: str, error: Exception) -> Failure:
    """What went wrong, as a sentence; the log has more when it is none of our own errors."""
    if isinstance(error, DrophammerError):
        return Failure(source, path, error.message)
    log.warning("%s of source %s failed", path or "the list", source, exc_info=error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return Failure(
            source,
            path,
            f"The disk of {error.filename or tempfile.gettempdir()} is full. Nothing was taken; "
            "make room there, or set TMPDIR, and import again.",
        )
    return Failure(source, path, f"{type(error).__name__}: {error}")


def known_of(former: Index, source: str) -> Mapping[str, Known]:
    """What the index has from this source."""
    return {
        path: Known(entry.sha256, entry.size, entry.origin)
        for path, entry in former.files.items()
        if entry.source == source
    }


def groups_of(former: Index) -> dict[str, dict[str, FileEntry]]:
    """The files of each group as they are now."""
    groups: dict[str, dict[str, FileEntry]] = {}
    for path, entry in former.files.items():
        groups.setdefault(names.place(path).group, {})[path] = entry
    return groups
