"""A conductor that is stopped past its lease and wakes up: it writes nothing and tells nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from drophammer.model import Agent
from tests.functional.conductor.conftest import ScriptedAgent
from tests.functional.fencing.conftest import LEASE_SECONDS, Place
from tests.functional.ipmi.conftest import VirtualBmc
from tests.patience import PATIENCE

# Two conductors with children of their own per test, and leases that must run out.
pytestmark = pytest.mark.slow
FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
CONTROL = (0, 2)
# Many beats and sweeps of the one that woke up, and the longest pause between two polls.
WATCH_SECONDS = 1.5


@pytest.fixture
def bmc() -> Iterator[VirtualBmc]:
    bmc = VirtualBmc({"power": 0})
    yield bmc
    bmc.stop()


@pytest.fixture
def agent() -> Iterator[ScriptedAgent]:
    agent = ScriptedAgent()
    yield agent
    agent.close()


def behind(bmc: VirtualBmc, **fields: Any) -> dict[str, Any]:
    """A node whose BMC this is."""
    info = {
        "ipmi_address": "127.0.0.1",
        "ipmi_port": bmc.port,
        "ipmi_username": "admin",
        "ipmi_password": "secret",
    }
    return {"driver": "ipmi", "driver_info": info, **fields}


def calls(bmc: VirtualBmc) -> list[Any]:
    """Commands to the machine; logging in and out is not one."""
    return [command for command in bmc.commands if tuple(command[:2]) not in ((6, 0x3B), (6, 0x3C))]


@pytest.mark.parametrize("children", [False, True], ids=["alone", "with its IPMI processes"])
@pytest.mark.parametrize("after", [0.0, 0.05, 0.12, 0.2, 0.29])
def test_a_conductor_woken_after_its_lease_leaves_the_controller_alone(
    place: Place, bmc: VirtualBmc, after: float, children: bool
) -> None:
    """Stopped at any moment between and within its polls of a machine that does not switch."""
    bmc.tell(mute=CONTROL)
    node_id = place.node(**behind(bmc, provision_state="manageable"))
    first = place.conductor("first")
    first.call("power", node_id=node_id, target="power on")
    bmc.wait_for(*CONTROL)
    time.sleep(after)  # Not for something to happen, but for another place to be stopped at.
    first.stop(children=children)
    place.conductor("second")
    place.until(node_id, lambda node: node.lease_host == "second")
    bmc.tell(mute=None, power=1)
    place.until(node_id, lambda node: node.power_state == "power on" and node.lease_owner is None)
    heard, written = calls(bmc), place.contents()
    first.go_on()
    time.sleep(WATCH_SECONDS)
    assert calls(bmc) == heard
    assert place.contents() == written


def test_a_conductor_woken_after_its_lease_leaves_the_agent_alone(
    place: Place, agent: ScriptedAgent
) -> None:
    """Stopped while the agent works out its answer, which it then gets."""
    node_id = place.node(
        driver="fake-hardware",
        provision_state="manageable",
        deploy_interface="direct",
        boot_interface="ipxe",
        properties={"capabilities": "boot_mode:bios"},
    )
    asked, answer = threading.Event(), threading.Event()
    agent.on_command = lambda name: (asked.set(), answer.wait(PATIENCE))
    first = place.conductor("first", **FILES)
    first.call("provision", node_id=node_id, target="provide", request={})
    place.until(node_id, lambda node: node.provision_state == "clean wait")
    _call_back(place, node_id, agent)
    first.call("heartbeat", node_id=node_id)
    assert asked.wait(PATIENCE)
    first.stop(children=True)
    time.sleep(LEASE_SECONDS)
    second = place.conductor("second", **FILES)
    place.until(node_id, lambda node: node.lease_host == "second")
    agent.on_command = lambda name: None
    answer.set()
    # The second one goes on by itself, until it waits for the machine it has just switched off.
    place.until(node_id, lambda node: node.provision_state == "available")
    told, written = list(agent.received), place.contents()
    heard = agent.requests
    first.go_on()
    time.sleep(WATCH_SECONDS)
    assert agent.received == told
    assert agent.requests == heard
    assert place.contents() == written
    assert second is not first


def test_a_conductor_woken_after_its_lease_goes_on_if_nobody_else_has(
    place: Place, bmc: VirtualBmc
) -> None:
    """It gives its work up and takes it up again: nothing is stuck, nobody has to look."""
    bmc.tell(mute=CONTROL)
    node_id = place.node(**behind(bmc, provision_state="manageable"))
    only = place.conductor("only")
    only.call("power", node_id=node_id, target="power on")
    bmc.wait_for(*CONTROL)
    before = place.until(node_id, lambda node: node.lease_host == "only")
    only.stop(children=False)
    time.sleep(1.5 * LEASE_SECONDS)
    only.go_on()
    bmc.tell(mute=None, power=1)
    after = place.until(
        node_id, lambda node: node.power_state == "power on" and node.lease_owner is None
    )
    assert after.fence > before.fence


def _call_back(place: Place, node_id: int, agent: ScriptedAgent) -> None:
    with place.store.write() as session:
        row = session.get_one(Agent, node_id)
        row.url, row.token, row.version = agent.url, agent.token, "1"
        row.beats += 1
        row.last_beat = place.store.clock.now()
