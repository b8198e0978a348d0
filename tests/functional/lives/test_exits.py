"""Every state in which something goes on can be left: by success, failure, time-out, abort, force.

The cells follow from ``states.py``; where there is no such exit, ``WITHOUT`` says why, and
that is shown too. What leads out of the states of rest is in ``test_state_table.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from drophammer import states
from drophammer.errors import InvalidState
from drophammer.model import Node
from tests.functional.lives.laws import Laws
from tests.functional.lives.life import Life
from tests.functional.lives.world import Stage, World

HOLD = [{"interface": "power", "step": name} for name in ("hold", "power_on")]
ERASE = [{"interface": "deploy", "step": "erase_devices"}]
# How a node comes into each state: from where, by which verb, with what; what is run then.
WAY: dict[str, tuple[str, str, dict[str, Any]]] = {
    states.VERIFYING: ("enroll", "manage", {}),
    states.INSPECTING: ("manageable", "inspect", {}),
    states.ADOPTING: ("manageable", "adopt", {}),
    states.CLEANING: ("manageable", "provide", {}),
    states.DEPLOYING: ("available", "active", {}),
    states.DELETING: ("active", "deleted", {}),
    states.RESCUING: ("active", "rescue", {"rescue_password": "long enough"}),
    states.UNRESCUING: ("rescue", "unrescue", {}),
    states.SERVICING: ("active", "service", {"service_steps": ERASE}),
    states.INSPECT_WAIT: ("manageable", "inspect", {}),
    states.CLEAN_WAIT: ("manageable", "provide", {}),
    states.WAIT_CALL_BACK: ("available", "active", {}),
    states.RESCUE_WAIT: ("active", "rescue", {"rescue_password": "long enough"}),
    states.SERVICE_WAIT: ("active", "service", {"service_steps": ERASE}),
    states.CLEAN_HOLD: ("manageable", "clean", {"clean_steps": HOLD, "disable_ramdisk": True}),
    states.DEPLOY_HOLD: (
        "available",
        "active",
        {"deploy_steps": [{**HOLD[0], "priority": 150}]},
    ),
    states.SERVICE_HOLD: ("active", "service", {"service_steps": HOLD}),
}
GOING = [state for state in states.STATES if not states.is_resting(state)]
EXITS = ("success", "failure", "time-out", "abort", "force")
# Exits that there are not, and why.
WITHOUT: dict[tuple[str, str], str] = {
    **{
        (state, "abort"): "a step runs: it is aborted where it waits, or ends"
        for state in states.WORKING
    },
    **{
        (state, "failure"): "nothing is being done; it fails, if so, after unhold"
        for state in states.HOLDING
    },
    **{
        (state, "time-out"): "it is held for as long as the operator wants"
        for state in states.HOLDING
    },
}


class Scene:
    """A node in one state, the conductor that brought it there, and another one."""

    def __init__(self, stage: Stage, state: str) -> None:
        self.world = World(stage)
        self.laws = Laws(self.world)
        self.state = state
        start, verb, request = WAY[state]
        self.node_id = self.world.add_node(start, ramdisk=True)
        self.laws.begins(self.node_id, start)
        self.holder, self.other = Life(self.world), Life(self.world)
        self.verb(verb, **request)
        if state not in states.WORKING:
            self.holder.run_all()
        assert self.node.provision_state == state

    @property
    def node(self) -> Node:
        return self.world.node(self.node_id)

    def verb(self, target: str, **request: Any) -> None:
        self.world.call(
            "conductor", "provision", node_id=self.node_id, target=target, request=request
        )

    def goes_on(self) -> Node:
        """Everybody does what is his until the node is at rest."""
        for _ in range(100):
            self.laws.check()
            node = self.node
            if states.is_resting(node.provision_state) and node.lease_owner is None:
                return node
            self.world.speak(self.node_id)
            self.round()
        raise AssertionError(f"still {node.provision_state}: {node.last_error}")

    def round(self) -> None:
        while self.world.messages:
            self.world.deliver(0, lost=False, again=False)
        for life in (self.holder, self.other):
            life.beat()
            life.sweep()
            life.run_all()
        self.world.clock.advance(5)


def cells(kind: str, *, there: bool = True) -> list[str]:
    return [state for state in GOING if ((state, kind) not in WITHOUT) is there]


def failed(state: str) -> str:
    """Where a failure leads from there."""
    return states.next_state(state, "fail")


def test_the_table_has_every_state_in_which_something_goes_on() -> None:
    assert set(WAY) == set(GOING)
    for state in GOING:
        assert states.has_event(state, "abort") == ((state, "abort") not in WITHOUT)


@pytest.mark.parametrize("state", cells("success"))
def test_success(stage: Stage, state: str) -> None:
    scene = Scene(stage, state)
    if state in states.HOLDING:
        scene.verb("unhold")
    node = scene.goes_on()
    assert states.STATES[node.provision_state].kind == states.STABLE
    assert node.last_error is None


@pytest.mark.parametrize("state", cells("failure"))
def test_failure(stage: Stage, state: str) -> None:
    scene = Scene(stage, state)
    machine = scene.world.machine(scene.node_id)
    machine.silent = True
    machine.manner = "refuse"
    node = scene.goes_on()
    assert node.provision_state == failed(state)
    assert node.last_error


@pytest.mark.parametrize("state", cells("time-out"))
def test_time_out_of_work_whose_holder_lives_and_does_nothing(stage: Stage, state: str) -> None:
    scene = Scene(stage, state)
    scene.holder.queue.jobs.clear()
    deadline = scene.node.deadline
    assert deadline is not None
    while scene.world.clock.now() <= deadline:
        scene.world.clock.advance(15)
        for life in (scene.holder, scene.other):
            life.beat()
            life.orphans()
    scene.other.overdue()
    scene.other.run_all()
    node = scene.node
    assert node.provision_state == failed(state)
    assert "Timed out" in (node.last_error or "")
    scene.laws.check()


@pytest.mark.parametrize("state", cells("abort"))
def test_abort(stage: Stage, state: str) -> None:
    scene = Scene(stage, state)
    scene.verb("abort", user="op")
    node = scene.goes_on()
    # The wire has a service fail; ours brings the deployed system back.
    service = state in (states.SERVICE_WAIT, states.SERVICE_HOLD)
    assert node.provision_state == (states.ACTIVE if service else states.next_state(state, "abort"))
    assert "asked by op" in (node.last_error or "")


@pytest.mark.parametrize("state", cells("force"))
def test_force(stage: Stage, state: str) -> None:
    """Whoever holds the node, it can be taken from him and deleted; he does no harm then."""
    scene = Scene(stage, state)
    client = create_app(Settings(locked_attempts=1), scene.world.store, scene.world).test_client()
    path = f"/v1/nodes/{scene.node.uuid}"
    if scene.node.lease_owner is not None:
        assert client.put(f"{path}/maintenance").status_code == 409
        assert client.delete(f"{path}/lease").status_code == 200
    assert client.put(f"{path}/maintenance").status_code == 202
    assert client.delete(path).status_code == 204
    scene.round()
    scene.laws.check()
    with scene.world.store.read() as session:
        assert session.get(Node, scene.node_id) is None


@pytest.mark.parametrize("state", cells("abort", there=False))
def test_where_a_step_runs_abort_is_refused_with_a_sentence(stage: Stage, state: str) -> None:
    scene = Scene(stage, state)
    with pytest.raises(InvalidState, match="Possible from here: "):
        scene.verb("abort")
    assert states.STATES[scene.goes_on().provision_state].kind == states.STABLE


@pytest.mark.parametrize("state", cells("time-out", there=False))
def test_what_is_held_is_held_for_ever_and_then_goes_on(stage: Stage, state: str) -> None:
    scene = Scene(stage, state)
    for _ in range(3):
        scene.world.clock.advance(10 * 86400)
        scene.other.beat()
        scene.other.sweep()
        scene.other.run_all()
        scene.laws.check()
        assert scene.node.provision_state == state
    scene.verb("unhold")
    assert states.STATES[scene.goes_on().provision_state].kind == states.STABLE
