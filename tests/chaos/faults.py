"""What is done to the field, at random: each fault begins, lasts, and is over."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cluster.engine import Engine
from drophammer.errors import DrophammerError
from tests.chaos.field import LEASE_SECONDS, Field

CONDUCTORS = ("conductor-1", "conductor-2", "conductor-3")
APIS = ("api-1", "api-2")
PROCESSES = (*CONDUCTORS, *APIS, "netboot")


class Chaos:
    """Two threads of it: one is about our processes, the other about what they need."""

    def __init__(self, field: Field, seed: int, tell: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._field, self._tell = field, tell
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._go, args=(lane,))
            for lane in (self._processes(), self._engines())
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when everything is as it should be again."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _go(self, lane: list[tuple[int, str, Callable[[], None]]]) -> None:
        while not self._over.wait(self._random.uniform(1, 6)):
            [(_, name, run)] = self._random.choices(lane, [weight for weight, _, _ in lane])
            self.counts[name] += 1
            run()

    def _processes(self) -> list[tuple[int, str, Callable[[], None]]]:
        return [
            (6, "kill -9 of a conductor", lambda: self._kill(CONDUCTORS, signal.SIGKILL, 0, 8)),
            (3, "SIGTERM of a conductor", lambda: self._kill(CONDUCTORS, signal.SIGTERM, 1, 8)),
            (4, "conductor stopped past its lease",
             lambda: self._freeze(CONDUCTORS, LEASE_SECONDS + 2, LEASE_SECONDS + 12)),
            (2, "conductor stopped for seconds", lambda: self._freeze(CONDUCTORS, 1, 6)),
            (4, "kill -9 of an API", lambda: self._kill(APIS, signal.SIGKILL, 0, 5)),
            (2, "SIGTERM of an API", lambda: self._kill(APIS, signal.SIGTERM, 0, 5)),
            (2, "API stopped for seconds", lambda: self._freeze(APIS, 1, 8)),
            (1, "kill -9 of netboot", lambda: self._kill(("netboot",), signal.SIGKILL, 0, 4)),
        ]  # fmt: skip

    def _engines(self) -> list[tuple[int, str, Callable[[], None]]]:
        database, broker = self._field.cluster.database, self._field.cluster.broker
        return [
            (3, "broker killed", lambda: self._lose(broker, 1, 30, kill=True)),
            (2, "broker hangs", lambda: self._hang(broker, 3, 20)),
            (3, "database killed", lambda: self._lose(database, 0, 10, kill=True)),
            (2, "database restarted", lambda: self._lose(database, 0, 20, kill=False)),
            (2, "database hangs", lambda: self._hang(database, 2, 15)),
            (4, "process cut off", lambda: self._cut(3, 25)),
        ]

    def _kill(self, names: tuple[str, ...], number: int, least: float, most: float) -> None:
        name = self._random.choice(names)
        with self._stays_down(name), self._told(f"{name} {signal.Signals(number).name}"):
            role = self._field.role(name)
            if number == signal.SIGKILL:
                role.kill()
            else:
                role.stop()
            self._last(least, most)

    def _freeze(self, names: tuple[str, ...], least: float, most: float) -> None:
        name = self._random.choice(names)
        role = self._field.role(name)
        with self._told(f"{name} stopped"):
            role.pause()
            self._last(least, most)
            role.resume()

    def _lose(self, engine: Engine, least: float, most: float, *, kill: bool) -> None:
        with self._told(f"{engine.name} {'killed' if kill else 'shut down'}"):
            if kill:
                engine.kill()
            else:
                engine.stop()
            self._last(least, most)
            for _ in range(5):
                with suppress(DrophammerError):
                    engine.start()
                    return
            raise SystemExit(f"{engine.name} does not start again")

    def _hang(self, engine: Engine, least: float, most: float) -> None:
        with self._told(f"{engine.name} hangs"):
            engine.pause()
            self._last(least, most)
            engine.resume()

    def _cut(self, least: float, most: float) -> None:
        name = self._random.choice(PROCESSES)
        with self._told(f"{name} cut off"):
            self._field.cut(name)
            self._last(least, most)
            self._field.mend(name)

    def _last(self, least: float, most: float) -> None:
        # A chaos that is over has still to undo what it did.
        self._over.wait(self._random.uniform(least, most))

    @contextmanager
    def _stays_down(self, name: str) -> Iterator[None]:
        with self._field.lock:
            self._field.down.add(name)
        yield
        with self._field.lock:
            self._field.down.discard(name)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        self._tell(f"{what} ...")
        yield
        self._tell(f"{what}: over after {time.monotonic() - began:.1f} s")
