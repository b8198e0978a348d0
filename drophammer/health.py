"""Whether this process is fit to work: each part says what is wrong with it, if anything.

The answer is true a second ago: who asks more often is told the same again, so that
asking, which anybody may do, costs nothing.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Collection, Mapping

from sqlalchemy import literal, select
from sqlalchemy.exc import SQLAlchemyError

from drophammer.bus import Bus
from drophammer.store import Store

DATABASE_SECONDS = 1.0
KEPT_SECONDS = 1.0

# Returns why something does not work; empty when it does.
Trouble = Callable[[], str]


class Health:
    """The parts of one process. ``check`` asks them, ``add`` adds one more."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._database = _Database(store)
        self._parts: dict[str, Trouble] = {"bus": bus.trouble}
        self._asking_it: set[str] = set()
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}
        self._at = -KEPT_SECONDS

    def add(self, name: str, trouble: Trouble, *, asks_database: bool = False) -> None:
        """Ask this too from now on; what asks the database, only while that answers."""
        self._parts[name] = trouble
        if asks_database:
            self._asking_it.add(name)

    @property
    def names(self) -> Collection[str]:
        """What is asked."""
        return ("database", *self._parts)

    def check(self) -> Mapping[str, str]:
        """What is wrong with each part; empty where nothing is."""
        with self._lock:
            if time.monotonic() - self._at > KEPT_SECONDS:
                self._found = self._ask()
                self._at = time.monotonic()
            return self._found

    def _ask(self) -> dict[str, str]:
        away = self._database()
        found = {"database": away}
        for name, trouble in list(self._parts.items()):
            unknown = away and name in self._asking_it
            found[name] = "not known while the database does not answer" if unknown else trouble()
        return found


class _Database:
    """Asks the database the shortest of questions, and waits no longer than it may take.

    The question is asked by a thread of its own: when the answer does not come, there is
    one that waits for it, however often it is asked whether it has.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "health")
        self._asked: concurrent.futures.Future[str] | None = None

    def __call__(self) -> str:
        if self._asked is None:
            self._asked = self._thread.submit(self._ask)
        try:
            told = self._asked.result(timeout=DATABASE_SECONDS)
        except concurrent.futures.TimeoutError:
            return f"the database has not answered within {DATABASE_SECONDS:g} s"
        self._asked = None
        return told

    def _ask(self) -> str:
        try:
            with self._store.ask() as connection:
                connection.execute(select(literal(1))).all()
        except SQLAlchemyError as error:
            return f"the database cannot be asked ({type(error).__name__})"
        return ""
