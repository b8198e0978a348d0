"""Any sequence of what operators, ramdisks, conductors, hardware and time can do to nodes.

After each step ``laws.py`` must hold; after the last one a single conductor that lives, and
to which nobody speaks, must bring every node to rest. A sequence that does not is shrunk
by hypothesis to one that can be read. Minutes of it:

    .venv/bin/python -m pytest --hypothesis-profile=long tests/functional/lives
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from drophammer import states
from drophammer.errors import DeadlineExceeded, DrophammerError
from tests.databases import only_sqlite
from tests.functional.lives.laws import Laws
from tests.functional.lives.life import Life
from tests.functional.lives.world import LEASE_SECONDS, Fate, Stage, World

pytestmark = only_sqlite

RESTING = [state for state in states.STATES if states.is_resting(state)]
MAX_LIVES = 3
STEPS = [
    {"interface": "power", "step": "hold"},
    {"interface": "power", "step": "wait"},
    {"interface": "power", "step": "wait", "args": {"seconds": 20}},
    {"interface": "power", "step": "power_on"},
    {"interface": "power", "step": "power_off"},
    {"interface": "power", "step": "reboot"},
    {"interface": "bios", "step": "factory_reset"},
    {"interface": "deploy", "step": "erase_devices_metadata"},
    {"interface": "deploy", "step": "erase_devices"},
]

PATCHES: list[dict[str, Any]] = [
    {"maintenance": True, "maintenance_reason": "by hand"},
    {"maintenance": False, "maintenance_reason": None, "fault": None},
    {"protected": True},
    {"protected": False},
    {"retired": True},
    {"retired": False},
    {"automated_clean": False},
    {"automated_clean": None},
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("set_boot_mode", {"mode": "uefi"}),
    ("set_boot_device", {"device": "pxe"}),
    ("heartbeat", {}),
    ("inspected", {}),
    ("go_on", {}),
]
CHANGES: list[dict[str, Any]] = [
    {"manner": "quick", "deaf": False},
    {"manner": "hold"},
    {"manner": "fail"},
    {"manner": "refuse"},
    {"deaf": True},
    {"commands": []},
    {"silent": True},
    {"silent": False},
]


def _meanwhile_overtaken(life: Life) -> None:
    """It stands still for longer than its leases last, and another one goes on."""
    life.world.clock.advance(LEASE_SECONDS + 5)
    _others_work(life)


def _meanwhile_late(life: Life) -> None:
    life.world.clock.advance(4000)
    _others_work(life)


def _meanwhile_broken(life: Life) -> None:
    """An operator takes from it what it holds, and another one goes on."""
    world = life.world
    for node_id in world.held_by(life):
        world.break_lease(node_id)
    world.clock.advance(1)
    while world.messages and any(one.listens for one in world.lives):
        world.deliver(0, lost=False, again=False)
    _others_work(life)


def _meanwhile_asleep(life: Life) -> None:
    """Nobody else is there, and it does not know how long it slept."""
    life.world.clock.advance(LEASE_SECONDS + 5)


def _others_work(life: Life) -> None:
    for other in life.world.lives:
        if other is not life and other.listens:
            other.beat()
            other.sweep()
            other.run_all()


FATES: list[tuple[str, Callable[[Life], None]]] = [
    ("kill", lambda life: None),
    ("database", lambda life: None),
    ("pause", _meanwhile_overtaken),
    ("pause", _meanwhile_late),
    ("pause", _meanwhile_asleep),
    ("short", _meanwhile_broken),
]
fates = st.none() | st.builds(
    lambda fate, after: Fate(fate[0], after, fate[1]), st.sampled_from(FATES), st.integers(1, 40)
)
places = st.integers(0, 2)
step_lists = st.lists(st.sampled_from(STEPS), min_size=1, max_size=3)


class Lives(RuleBasedStateMachine):
    """Nodes in the hands of conductors that come, stand still and go."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.world = World(stage)
        self.laws = Laws(self.world)
        self.last_drives = True

    @initialize(
        first=st.sampled_from(RESTING), second=st.sampled_from(RESTING), drives=st.booleans()
    )
    def begin(self, first: str, second: str, drives: bool) -> None:
        self._add(first, ramdisk=False)
        self._add(second, ramdisk=True)
        # Whether the one that is left at the end has the nodes' driver.
        self.last_drives = drives
        Life(self.world)

    def _add(self, state: str, *, ramdisk: bool) -> None:
        node_id = self.world.add_node(state, ramdisk=ramdisk)
        self.laws.begins(node_id, state)

    def _node(self, place: int) -> int:
        return self.world.node_ids[place % len(self.world.node_ids)]

    def _living(self) -> list[Life]:
        return [life for life in self.world.lives if not life.dead]

    def _life(self, place: int) -> Life | None:
        ready = [life for life in self.world.lives if life.listens]
        return ready[place % len(ready)] if ready else None

    def _somebody_listens(self) -> None:
        if self._life(0) is None:
            for life in self.world.lives:
                life.paused = False
        if self._life(0) is None:
            Life(self.world)

    def _ask(self, method: str, fate: Fate | None = None, **arguments: Any) -> None:
        life = self._life(0)
        if life is not None:
            life.fate = fate
        with contextlib.suppress(DrophammerError, DeadlineExceeded):
            self.world.call("conductor", method, **arguments)

    # Operators

    @rule(place=places, choice=st.integers(0, 9), steps=step_lists, fate=fates)
    def possible_verb(self, place: int, choice: int, steps: list[Any], fate: Fate | None) -> None:
        node_id = self._node(place)
        verbs = states.verbs_from(self.world.node(node_id).provision_state)
        if verbs:
            self._provision(node_id, verbs[choice % len(verbs)], steps, fate)

    @rule(place=places, choice=st.integers(0, 9), steps=step_lists, rounds=st.integers(1, 6))
    def verb_and_time(self, place: int, choice: int, steps: list[Any], rounds: int) -> None:
        self.possible_verb(place, choice, steps, None)
        self.time_goes_on(rounds, True)

    @rule(place=places, verb=st.sampled_from(list(states.VERBS)), steps=step_lists)
    def any_verb(self, place: int, verb: str, steps: list[Any]) -> None:
        self._provision(self._node(place), verb, steps, None)

    def _provision(self, node_id: int, verb: str, steps: list[Any], fate: Fate | None) -> None:
        self._somebody_listens()
        request: dict[str, Any] = {"user": "op"}
        if verb in ("clean", "service"):
            request[f"{verb}_steps"] = steps
        elif verb in ("active", "deploy", "rebuild") and len(steps) > 1:
            unique = {(step["interface"], step["step"]): step for step in steps}
            request["deploy_steps"] = [{**step, "priority": 50} for step in unique.values()]
        elif verb == "rescue":
            request["rescue_password"] = "long enough"
        self._ask("provision", fate, node_id=node_id, target=verb, request=request)

    @rule(
        place=places,
        wanted=st.sampled_from(["power on", "power off", "rebooting", "soft power off"]),
        fate=fates,
    )
    def power(self, place: int, wanted: str, fate: Fate | None) -> None:
        self._ask("power", fate, node_id=self._node(place), target=wanted)

    @rule(place=places, columns=st.sampled_from(PATCHES))
    def patch(self, place: int, columns: dict[str, Any]) -> None:
        node_id = self._node(place)
        if self.world.change(node_id, **columns) and columns.get("maintenance") is False:
            self.world.cast("conductor", "heartbeat", node_id=node_id)

    @rule(place=places, call=st.sampled_from(CALLS), fate=fates)
    def call(self, place: int, call: tuple[str, dict[str, Any]], fate: Fate | None) -> None:
        method, arguments = call
        self._ask(method, fate, node_id=self._node(place), **arguments)

    @rule(place=places)
    def break_lease(self, place: int) -> None:
        self.world.break_lease(self._node(place))

    # Ramdisks, hardware, messages

    @rule(place=places, lost=st.booleans())
    def ramdisk_speaks(self, place: int, lost: bool) -> None:
        self.world.speak(self._node(place), lost=lost)

    @rule(place=places, change=st.sampled_from(CHANGES))
    def machine(self, place: int, change: dict[str, Any]) -> None:
        machine = self.world.machine(self._node(place))
        for name, value in change.items():
            setattr(machine, name, value)

    @rule(away=st.booleans())
    def netboot(self, away: bool) -> None:
        self.world.netboot_is_away = away

    @rule(place=st.integers(0, 5), lost=st.booleans(), again=st.booleans())
    def message(self, place: int, lost: bool, again: bool) -> None:
        self.world.deliver(place, lost=lost, again=again)

    # Conductors

    @rule(place=places, job=st.integers(0, 5), fate=fates)
    def one_job(self, place: int, job: int, fate: Fate | None) -> None:
        life = self._life(place)
        if life is not None:
            life.fate = fate
            life.run_one(job)

    @rule(place=places, fate=fates)
    def next_timer(self, place: int, fate: Fate | None) -> None:
        life = self._life(place)
        if life is None or not life.queue.timers:
            return
        self.world.clock.advance(max(0.0, life.queue.timers[0][0] - self.world.monotonic()))
        life.fate = fate
        life.run_one()

    @rule(place=places, chore=st.sampled_from(["beat", "orphans", "overdue", "first"]), fate=fates)
    def chore(self, place: int, chore: str, fate: Fate | None) -> None:
        life = self._life(place)
        if life is not None:
            life.fate = fate
            getattr(life, chore)()

    @rule(place=places, what=st.sampled_from(["start", "start other", "kill", "stop", "busy"]))
    def conductor(self, place: int, what: str) -> None:
        life = self._life(place)
        if what.startswith("start"):
            if len(self._living()) < MAX_LIVES:
                Life(self.world, drives=what == "start")
        elif life is not None and what == "busy":
            life.queue.has_no_thread = not life.queue.has_no_thread
        elif life is not None:
            (life.die if what == "kill" else life.stop)()

    @rule(place=places, still=st.booleans())
    def stand_still(self, place: int, still: bool) -> None:
        living = self._living()
        if living:
            living[place % len(living)].paused = still

    # Time

    @rule(seconds=st.sampled_from([1, 10, 61, 310, 1801, 10800]))
    def everything_stands_still(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule(rounds=st.integers(1, 6), ramdisks=st.booleans())
    def time_goes_on(self, rounds: int, ramdisks: bool) -> None:
        for _ in range(rounds):
            self._work()
            for node_id in self.world.node_ids if ramdisks else ():
                self.world.speak(node_id)
            if ramdisks:
                self._hear()
            self.world.clock.advance(11)

    def _work(self) -> None:
        for life in self.world.lives:
            if life.listens:
                life.beat()
                life.sweep()
                life.run_all()

    def _hear(self) -> None:
        while self.world.messages and self._life(0) is not None:
            self.world.deliver(0, lost=False, again=False)

    # What must be so

    @invariant()
    def the_laws_hold(self) -> None:
        if self.world.lives:
            self.laws.check()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None and self.world.lives:
            self.laws.assert_settles(Life(self.world, drives=self.last_drives))


@pytest.mark.timeout(0)
def test_no_sequence_leaves_a_node_stuck_or_a_lease_orphaned(stage: Stage) -> None:
    examples = settings.default.max_examples
    run_state_machine_as_test(
        lambda: Lives(stage),
        settings=settings(
            max_examples=examples if examples > 1000 else examples // 2,
            stateful_step_count=60 if examples > 1000 else 40,
        ),
    )
