"""Who of this process's threads writes next, on sqlite, which has one writer at a time.

Whoever finds it taken there sleeps and tries again, longer each time, while the database
lies idle: with sixteen threads most of the time goes by like that. Threads that wait here
instead are woken when it is their turn. Servers do this themselves, row by row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from drophammer.engines import SQLITE_BUSY_SECONDS


class Turns:
    """One turn after the other. Safe to share between threads."""

    def __init__(self, engine: Engine, patience: float = SQLITE_BUSY_SECONDS) -> None:
        self._lock = threading.Lock() if engine.dialect.name == "sqlite" else None
        self._patience = patience

    @contextmanager
    def take(self) -> Iterator[None]:
        """Write within the block.

        Whoever has waited for as long as sqlite would let him wait is not kept here: sqlite
        says then that the database is locked, as it does of other processes.
        """
        taken = self._lock is not None and self._lock.acquire(timeout=self._patience)
        try:
            yield
        finally:
            if taken and self._lock is not None:
                self._lock.release()
