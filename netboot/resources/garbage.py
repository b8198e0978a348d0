"""Removes what nobody needs: left-overs of runs that were killed, snapshots out of use.

Works under the lock of a run. A snapshot goes first by a rename and then file by
file: there never is half of one under its name.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Callable, Collection
from pathlib import Path

from netboot.resources import durable, names
from netboot.resources.building import NEXT
from netboot.resources.cache import FOLDER
from netboot.resources.durable import disk
from netboot.resources.tree import Resources, Snapshot


def clean(resources: Resources) -> None:
    """Remove what killed runs have left. Raises DiskTrouble."""
    root = resources.root
    with disk("cleaning up", root):
        _never_current(resources)
        for folder in (root, root / FOLDER):
            for name in os.listdir(folder) if folder.is_dir() else ():
                if name.startswith(durable.PARTIAL):
                    durable.remove(folder / name)


def collect(
    resources: Resources,
    used: Callable[[], Collection[str]],
    keep: datetime.timedelta,
    now: datetime.datetime,
) -> list[str]:
    """Remove snapshots that are neither current, nor used, nor replaced only lately.

    ``used`` tells the snapshots that boots name; when it raises, nothing is removed and this
    raises the same. Returns the names of what was removed.
    """
    kept, current = resources.snapshots(), resources.current()
    old = [
        snapshot
        for position, snapshot in enumerate(kept)
        if snapshot != current and _replaced(kept, position, now) + keep <= now
    ]
    if not old or current is None:
        return []
    with resources.pins_lock(fcntl.LOCK_EX), disk("removing old snapshots", resources.root):
        needed = used()
        # Looked at again: somebody may have pinned it since.
        gone = [
            snapshot
            for snapshot in old
            if snapshot.name not in needed and _touched(snapshot, now) + keep <= now
        ]
        hidden = [_hide(snapshot) for snapshot in gone]
    with disk("removing old snapshots", resources.root):
        for path in hidden:
            durable.remove(path)
    return [snapshot.name for snapshot in gone]


def _hide(snapshot: Snapshot) -> Path:
    hidden = durable.partial(snapshot.path.parent)
    snapshot.path.rename(hidden)
    return hidden


def _replaced(kept: list[Snapshot], position: int, now: datetime.datetime) -> datetime.datetime:
    """When it ceased to be current: when the next one was made.

    A name may be ahead of the clock, which was set back, or when one followed close upon another.
    """
    later = (kept[position + 1 : position + 2] or [kept[position]])[0]
    named = names.snapshot_time(later.name)
    return named if named <= now else _touched(later, now)


def _touched(snapshot: Snapshot, now: datetime.datetime) -> datetime.datetime:
    """When it was made, or pinned when it was not current any more.

    What a wrong clock has put into the future counts from now, or it would be kept until then.
    """
    touched = datetime.datetime.fromtimestamp(snapshot.path.stat().st_mtime, datetime.UTC)
    if touched > now:
        os.utime(snapshot.path, (now.timestamp(), now.timestamp()))
    return min(touched, now)


def _never_current(resources: Resources) -> None:
    """A run that ended just before its last rename leaves a whole snapshot that nobody saw."""
    staged = resources.root / NEXT
    if not staged.is_symlink():
        return
    current = resources.current()
    snapshot = resources.snapshot(os.readlink(staged))
    if snapshot is not None and snapshot != current:
        durable.remove(_hide(snapshot))
    staged.unlink()
