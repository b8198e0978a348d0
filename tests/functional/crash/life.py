"""A conductor that dies where it is told to, and what an operator and time do around it.

Death is kill -9: from the chosen boundary on it writes nothing, sends nothing and renews
nothing, and its leases stay in the database as they are. A boundary is whatever the world
outside can notice: a commit, a command to a controller, to an agent, to netboot. Dying
before each of them and behind the last is dying everywhere: between two of them nothing
changes but the dead one's memory, so "done, but nobody heard the answer" is "before the
next".
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conductor.calls.endpoint import Endpoint
from conductor.drivers.registry import Drivers
from conductor.flows import Runner
from conductor.ipmi.pool import IpmiPool
from conductor.periodic import Periodic
from conductor.presence import Presence
from conductor.settings import Settings
from conductor.toolbox import Toolbox
from drophammer.bus import result_of
from drophammer.bus_answer import Request, answer
from drophammer.model import new_uuid
from drophammer.netns import Namespace
from drophammer.store import Holder
from tests.functional.crash.edge import Agents, Netboot, world_type
from tests.functional.crash.world import World

POOL = IpmiPool(workers=1)


class Killed(BaseException):
    """kill -9. Not an Exception: nobody may catch it and go on."""


class Hand:
    """All that a conductor does to the world goes through here, until it dies."""

    def __init__(self, die_at: int | None) -> None:
        self.boundaries: list[str] = []
        self.dead = False
        self.counts = True
        self._die_at = die_at

    def alive(self) -> None:
        if self.dead:
            raise Killed

    def boundary(self, what: str) -> None:
        self.alive()
        if not self.counts:
            return
        self.boundaries.append(what)
        if len(self.boundaries) == self._die_at:
            self.dead = True
            raise Killed


class Work:
    """In place of threads and timers: what is to be done, done one by one by whoever asks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: collections.deque[tuple[Callable[..., None], tuple[Any, ...]]] = (
            collections.deque()
        )
        self._later: list[tuple[Any, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def admit(self) -> None:
        pass

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        self._queue.append((function, args))

    def later(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        due = self._world.clock.now().timestamp() + seconds
        heapq.heappush(self._later, (due, next(self._order), function, args))

    def next(self) -> tuple[Callable[..., None], tuple[Any, ...]] | None:
        """What is to be done now; when that is nothing, time goes on to what is next."""
        if self._queue:
            return self._queue.popleft()
        if not self._later:
            return None
        due, _, function, args = heapq.heappop(self._later)
        self._world.clock.advance(max(0.0, due - self._world.clock.now().timestamp()))
        return function, args


class InlineBus:
    """Calls on the caller's thread; JSON both ways, as on any bus."""

    def __init__(self) -> None:
        self.endpoints: dict[str, object] = {}

    def call(self, topic: str, method: str, /, **arguments: Any) -> Any:
        given = json.loads(json.dumps(arguments))
        told = answer(self.endpoints[topic], method, given, Request(new_uuid()))
        return result_of(json.loads(json.dumps(told)))

    def cast(self, topic: str, method: str, /, **arguments: Any) -> None:
        answer(self.endpoints[topic], method, arguments, Request(new_uuid()))


class Life:
    """One conductor from its start to its end."""

    def __init__(self, world: World, settings: Settings, die_at: int | None = None) -> None:
        self.world = world
        self.hand = world.stage.hand = Hand(die_at)
        self.work = Work(world)
        bus = InlineBus()
        drivers = Drivers(("fake-hardware",))
        drivers.types["world"] = world_type(world, self.hand)
        self.box = Toolbox(
            settings=settings,
            store=world.stage.conductors_store,
            bus=bus,  # type: ignore[arg-type]
            holder=Holder(new_uuid(), settings.host),
            namespace=Namespace(""),
            agents=Agents(world, self.hand),  # type: ignore[arg-type]
            ipmi=POOL,
            drivers=drivers,
        )
        runner = Runner(self.work)  # type: ignore[arg-type]
        self.service = Endpoint(self.box, self.work, runner)  # type: ignore[arg-type]
        presence = Presence(self.box)
        self.periodic = Periodic(self.box, runner, presence)
        bus.endpoints = {"conductor": self.service, "netboot": Netboot(self.hand)}
        self._bus = bus
        with self._by_the_way():
            presence.enter()

    def call(self, method: str, **arguments: Any) -> None:
        self._bus.call("conductor", method, **arguments)

    def look(self, *, first: bool) -> None:
        """What it does by the clock: renew its leases, take up what nobody works on."""
        with self._by_the_way():
            self.periodic.beat()
        self.periodic.sweep(first=first)

    def run(self) -> None:
        """Work until nothing is left to do but to wait for others."""
        while (job := self.work.next()) is not None:
            function, args = job
            function(*args)

    @contextlib.contextmanager
    def _by_the_way(self) -> Iterator[None]:
        """What concerns no node: to die there is to die before what comes next."""
        self.hand.counts = False
        yield
        self.hand.counts = True


def settings_of(**changes: Any) -> Settings:
    """A day for everything: what is shown here is that work goes on, not that it times out."""
    day = 86400.0
    return replace(
        Settings(
            host="one",
            hardware_types=("fake-hardware", "world"),
            deploy_kernel="http://127.0.0.1/k",
            deploy_ramdisk="http://127.0.0.1/r",
            default_boot_mode="bios",
            deploy_timeout=day,
            clean_timeout=day,
            inspect_timeout=day,
            service_timeout=day,
            rescue_timeout=day,
        ),
        **changes,
    )
