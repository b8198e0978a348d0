"""One life of a conductor: its real parts, with a queue in place of threads and timers.

It does something only when it is told to: run a job, fire a timer, beat, sweep. It can be
killed, stand still, stop in an orderly way.
"""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conductor import guard
from conductor.agentclient import Result
from conductor.calls.endpoint import Endpoint
from conductor.drivers.base import HardwareType, Interface, Management, Power
from conductor.drivers.registry import Drivers
from conductor.drivers.table import hardware_types
from conductor.flows import Runner
from conductor.ipmi.pool import IpmiPool
from conductor.presence import Presence
from conductor.settings import Settings
from conductor.sweeps import Sweeps
from conductor.task import Task
from conductor.toolbox import Toolbox
from conductor.workers import Workers
from drophammer.errors import AgentBusy, BmcUnreachable, LeaseLost, Unavailable
from drophammer.model import Agent, Node, new_uuid
from drophammer.netns import Namespace
from drophammer.store import Holder, Lease
from drophammer.tenure import Tenure
from tests.functional.lives.world import Fate, Killed, World, finish

_POOL = IpmiPool(workers=1)
Job = tuple[Callable[..., None], tuple[Any, ...]]
SETTINGS = Settings(
    host="host",
    deploy_kernel="http://127.0.0.1/k",
    deploy_ramdisk="http://127.0.0.1/r",
    default_boot_mode="bios",
    retry_seconds=60.0,
    fake_delays=dict.fromkeys(("deploy", "rescue", "inspect", "bios"), (5.0, 5.0)),
)


class Queue(Workers):
    """In place of threads and timers: what is to be done, done by whoever asks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.jobs: list[Job] = []
        self.timers: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self.stopping = False
        self.has_no_thread = False

    def admit(self) -> None:
        if self.stopping:
            raise Unavailable("This conductor is stopping; try again in a moment.")

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        if self.stopping:
            return
        if self.has_no_thread:
            raise Unavailable("This conductor could not start a thread for the work.")
        self.jobs.append((function, args))

    def later(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        due = self._world.monotonic() + seconds
        self.timers.append((due, next(self._numbers), (function, args)))
        self.timers.sort(key=lambda timer: timer[:2])

    def stop(self, seconds: float) -> bool:
        self.stopping = True
        self.jobs, self.timers = [], []
        return True

    def fire_due(self) -> None:
        while self.timers and self.timers[0][0] <= self._world.monotonic():
            self.jobs.append(self.timers.pop(0)[2])

    def works_under(self, node_id: int, fence: int) -> bool:
        """Whether there is a job that goes on under this lease."""
        jobs = [*self.jobs, *(job for _, _, job in self.timers)]
        leases = [_lease(arg) for _, args in jobs for arg in args]
        return any(
            one is not None and (one.node_id, one.fence) == (node_id, fence) for one in leases
        )


def _lease(arg: Any) -> Lease | None:
    if isinstance(arg, Task):
        return arg.lease
    return arg if isinstance(arg, Lease) else None


class Life:
    """``drives``: it has the driver of the world's nodes."""

    def __init__(self, world: World, *, drives: bool = True) -> None:
        self.world = world
        self.dead = self.paused = self.stopped = False
        # Something was done to it that excuses what would be a mistake of its own.
        self.harmed = False
        self.fate: Fate | None = None
        # Nodes that were taken from it while it stood still, as they were when it went on.
        self._lost: dict[int, tuple[int, list[Any]]] = {}
        drivers = Drivers(("manual-management",))
        if drives:
            drivers.types["world"] = WORLD_TYPE
        settings = replace(SETTINGS, hardware_types=tuple(drivers.types))
        self.box = Toolbox(
            settings=settings,
            store=world.store,
            bus=world,
            holder=Holder(new_uuid(), settings.host, Tenure(world.monotonic)),
            namespace=Namespace(""),
            agents=Agents(self),  # type: ignore[arg-type]
            ipmi=_POOL,
            drivers=drivers,
        )
        self.queue = Queue(world)
        runner = Runner(self.queue)
        self.service = Endpoint(self.box, self.queue, runner)
        self._presence = Presence(self.box)
        self._sweeps = Sweeps(self.box, runner)
        world.lives.append(self)
        self.act(self._presence.enter)
        self.beat()
        self.first()
        self.overdue()

    @property
    def listens(self) -> bool:
        return not (self.dead or self.paused or self.stopped)

    def act(self, function: Callable[[], Any]) -> None:
        """Do something as this life, as far as it comes."""
        if self.dead:
            return
        self.harmed = False
        self.world.running.append(self)
        try:
            # Of its own: what is done in a pause of another is not done under its lease.
            contextvars.Context().run(function)
        except Killed:
            pass
        finally:
            self.fate = None
            self.world.running.pop()
            self._check_lost()

    def chore(self, function: Callable[[], Any]) -> None:
        """The same for what the clock has it do: what goes wrong there is done again later."""
        try:
            self.act(function)
        except Exception as error:
            self._blame("a chore", error)

    def beat(self) -> None:
        self.chore(self._presence.beat)

    def sweep(self) -> None:
        self.orphans()
        self.overdue()

    def orphans(self) -> None:
        self.chore(self._sweeps.orphans)

    def first(self) -> None:
        self.chore(lambda: self._sweeps.orphans(first=True))

    def overdue(self) -> None:
        self.chore(self._sweeps.overdue)

    def run_one(self, place: int = 0) -> None:
        """Run one of the jobs that are due, any of them."""
        self.queue.fire_due()
        if not self.queue.jobs:
            return
        function, args = self.queue.jobs.pop(place % len(self.queue.jobs))
        try:
            self.act(lambda: function(*args))
        except Exception as error:
            self._blame(f"the job {function}", error)

    def run_all(self) -> None:
        for _ in range(200):
            self.queue.fire_due()
            if not self.queue.jobs:
                return
            self.run_one()
        self.world.offences.append("one job has led to 200 others")

    def die(self) -> None:
        self.dead = True
        self.queue.stop(0)

    def stop(self) -> None:
        """In an orderly way."""
        self.queue.stop(0)
        self.stopped = True
        self.chore(self._presence.leave)
        self.dead = True

    def stand_still(self, meanwhile: Callable[[Life], None]) -> None:
        """In the middle of something; what is taken from it meanwhile is not its own after."""
        world = self.world
        self.paused = True
        before = world.held_by(self)
        with world.aside():
            meanwhile(self)
        self.paused = False
        now = world.held_by(self)
        lost = [node_id for node_id, fence in before.items() if now.get(node_id) != fence]
        self._lost |= {node_id: (world.fence(node_id), world.rows(node_id)) for node_id in lost}

    def _check_lost(self) -> None:
        world = self.world
        for node_id, (fence, rows) in self._lost.items():
            # With a new lease it may write again.
            if world.fence(node_id) == fence and world.rows(node_id) != rows:
                world.offences.append(f"node {node_id} was written by one who had lost it")
        self._lost = {}

    def _blame(self, what: str, error: Exception) -> None:
        if not self.harmed and not isinstance(error, LeaseLost):
            self.world.offences.append(f"{what} ended with {error!r}")


class Agents:
    """In place of the HTTP client of agents."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def run(
        self, agent: Agent, name: str, params: Mapping[str, Any], *, wait: bool, **_: Any
    ) -> Result:
        world = self._life.world
        uuid = (agent.url or "").removeprefix("http://").partition("/")[0]
        world.touched(self._life.box.holder.uuid, uuid, name)
        machine = world.ramdisk_at(agent.url)
        if any(command["status"] == "RUNNING" for command in machine.commands):
            raise AgentBusy("Agent is busy")
        if ".execute_" in name:
            world.executes(uuid)
        command = {"id": new_uuid(), "name": name.partition(".")[2]}
        command |= {"status": "RUNNING", "result": None, "error": None}
        machine.commands.append(command)
        if wait:
            finish(command, failed=machine.manner == "refuse")
        if name == "standby.power_off":
            world.power(uuid, "off")
        elif name == "rescue.finalize_rescue":
            machine.ramdisk = None
        return Result(**command)

    def commands(self, agent: Agent) -> Sequence[Result]:
        world = self._life.world
        world.moment(opens=False, speaks=True)
        guard.seconds_left(0)
        return [Result(**command) for command in world.ramdisk_at(agent.url).commands]


class WorldPower(Power):
    """The controllers are in the world."""

    def state(self, node: Node) -> str:
        guard.seconds_left(0)
        machine = _world_of(self).machines[node.uuid]
        if machine.silent:
            raise BmcUnreachable(f"The controller of node {node.uuid} is silent.")
        return "power on" if machine.on else "power off"

    def send(self, node: Node, action: str) -> None:
        _tell(self, node, f"power {action}")
        _world_of(self).power(node.uuid, action)


class WorldManagement(Management):
    devices = ("pxe", "disk")
    boot_modes = ("uefi", "bios")

    def set_boot_device(self, node: Node, device: str, *, persistent: bool, uefi: bool) -> None:
        _tell(self, node, f"boot device {device}")

    def set_boot_mode(self, node: Node, mode: str) -> None:
        _tell(self, node, f"boot mode {mode}")


def _world_of(interface: Interface) -> World:
    bus = interface.box.bus
    assert isinstance(bus, World)
    return bus


def _tell(interface: Interface, node: Node, what: str) -> None:
    world = _world_of(interface)
    world.touched(interface.box.holder.uuid, node.uuid, what)
    if world.machines[node.uuid].silent:
        raise BmcUnreachable(f"The controller of node {node.uuid} is silent.")


_FAKE = hardware_types()["fake-hardware"].interfaces
WORLD_TYPE = HardwareType(
    "world",
    {
        **_FAKE,
        "power": {"world": WorldPower},
        "management": {"world": WorldManagement},
    },
)
