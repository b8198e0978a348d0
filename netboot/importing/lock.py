"""One import at a time, across processes: a lock that goes with whoever holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drophammer.errors import Conflict
from netboot.resources import durable
from netboot.resources.durable import disk

LOCK = ".lock"


@contextmanager
def run_lock(root: Path, pause: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock in the block.

    While somebody else has it, ``pause`` is called again and again, which may raise to give
    up; None gives up at once. Raises Conflict then, DiskTrouble when there can be no lock.
    """
    with disk("locking", root):
        durable.make_folder(root)
        fd = os.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _taken(fd):
            if pause is None:
                raise Conflict(
                    f"Another import into {root} is going on; wait for it, or look at it with "
                    "`drophammer images status`."
                )
            pause()
        yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
