"""A fake machine through its whole life, and what it refuses on the way."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from drophammer import events
from drophammer.errors import (
    Conflict,
    Forbidden,
    InMaintenance,
    Invalid,
    InvalidState,
    NodeLocked,
    NotFound,
    Unsupported,
)
from drophammer.model import Operation, Step
from drophammer.store import Holder
from tests.patience import until


def test_a_node_goes_from_enroll_to_active_and_back_to_available(scene: Any) -> None:
    scene.start()
    node_id = scene.node()
    for verb, state in (
        ("manage", "manageable"),
        ("inspect", "manageable"),
        ("provide", "available"),
        ("active", "active"),
        ("rebuild", "active"),
        ("deleted", "available"),
        ("manage", "manageable"),
        ("adopt", "active"),
    ):
        scene.provision(node_id, verb)
        node = scene.until(node_id, lambda node, state=state: node.provision_state == state)
        assert node.target_provision_state is None
        assert node.last_error is None
        assert node.operation_id is None
        assert node.deadline is None


def test_inspection_leaves_an_inventory_and_its_times(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "inspect")
    node = scene.until(node_id, lambda node: node.inspection_finished_at is not None)
    assert node.provision_state == "manageable"
    assert node.inspection_started_at is None
    assert node.properties == {"cpu_arch": "x86_64"}


def test_a_verb_in_the_wrong_state_names_the_verbs_that_are_possible(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll")
    with pytest.raises(InvalidState, match="Possible from here: manage"):
        scene.provision(node_id, "active")
    assert scene.get(node_id).provision_state == "enroll"
    assert scene.get(node_id).lease_owner is None


def test_a_locked_node_refuses_a_second_deploy_and_names_the_holder(scene: Any) -> None:
    scene.start(fake_delays={"deploy": (1.0, 1.0)})
    node_id = scene.node("available")
    scene.provision(node_id, "active")
    with pytest.raises((NodeLocked, InvalidState)):
        scene.provision(node_id, "active")
    scene.until_state(node_id, "active")


def test_a_node_held_by_another_conductor_says_by_whom_and_for_what(scene: Any) -> None:
    scene.start()
    node_id = scene.node("available")
    with scene.store.write() as session:
        scene.store.reserve(session, node_id, Holder("other", "host-b"), "rescue")
    with pytest.raises(NodeLocked, match=r"locked by host host-b.*held for: rescue"):
        scene.provision(node_id, "active")


def test_maintenance_refuses_a_deploy(scene: Any) -> None:
    scene.start()
    node_id = scene.node("available", maintenance=True, maintenance_reason="fan")
    with pytest.raises(InMaintenance, match="fan"):
        scene.provision(node_id, "active")


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("manageable", "provide"),
        ("manageable", "inspect"),
        ("manageable", "adopt"),
        ("active", "deleted"),
    ],
)
def test_all_work_can_be_refused_in_maintenance(scene: Any, state: str, verb: str) -> None:
    scene.start(allow_provisioning_in_maintenance=False)
    node_id = scene.node(state, maintenance=True, maintenance_reason="fan")
    plan = scene.bus.call("conductor", "plan", node_id=node_id, target=verb, request={})
    assert [one["reason"] for one in plan["refusals"]] == ["maintenance"]
    with pytest.raises(InMaintenance, match="fan"):
        scene.provision(node_id, verb)
    scene.stop()
    scene.start(allow_provisioning_in_maintenance=True)
    scene.provision(node_id, verb)


@pytest.mark.parametrize("state", ["enroll", "available", "clean failed"])
def test_a_node_in_maintenance_may_always_be_managed(scene: Any, state: str) -> None:
    scene.start(allow_provisioning_in_maintenance=False)
    node_id = scene.node(state, maintenance=True)
    scene.provision(node_id, "manage")
    scene.until_state(node_id, "manageable")


def test_a_protected_node_is_not_deleted(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", protected=True)
    with pytest.raises(Forbidden, match="protected"):
        scene.provision(node_id, "deleted")


def test_an_unknown_node_and_an_unknown_verb_are_named(scene: Any) -> None:
    scene.start()
    with pytest.raises(NotFound, match="deleted"):
        scene.provision(77, "active")
    with pytest.raises(Invalid, match="'dance'"):
        scene.provision(scene.node(), "dance")


def test_an_unknown_driver_is_refused_before_anything_changes(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll")
    with scene.store.write() as session:
        session.get_one(type(scene.get(node_id)), node_id).driver = "ilo"
    with pytest.raises(Unsupported, match="'ilo'"):
        scene.provision(node_id, "manage")
    assert scene.get(node_id).provision_state == "enroll"


def test_power_on_and_off(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    for target, state in (
        ("power on", "power on"),
        ("rebooting", "power on"),
        ("soft power off", "power off"),
    ):
        scene.bus.call("conductor", "power", node_id=node_id, target=target)
        node = scene.until(
            node_id,
            lambda node, state=state: node.power_state == state and node.target_power_state is None,
        )
        assert node.provision_state == "manageable"


def test_power_is_not_touched_under_a_running_operation(scene: Any) -> None:
    scene.start()
    node_id = scene.node("clean wait")
    with pytest.raises(Conflict, match="clean wait"):
        scene.bus.call("conductor", "power", node_id=node_id, target="power off")


def test_validate_tells_the_truth_about_every_interface(scene: Any) -> None:
    scene.start()
    node_id = scene.node(bios_interface="no-bios", deploy_interface="direct", boot_interface="ipxe")
    verdict = scene.bus.call("conductor", "validate", node_id=node_id)
    assert len(verdict) == 12
    assert verdict["power"] == {"result": True}
    assert verdict["bios"]["result"] is None
    assert verdict["deploy"]["result"] is False
    assert "image_source is missing" in verdict["deploy"]["reason"]
    assert "deploy_kernel" in verdict["boot"]["reason"]


def test_work_of_a_conductor_that_is_gone_is_taken_up_by_the_next(scene: Any) -> None:
    scene.start(fake_delays={"deploy": (30.0, 30.0)})
    node_id = scene.node("available")
    scene.provision(node_id, "active")
    with scene.store.read() as session:
        (step_id,) = session.scalars(select(Step.id))
    until(lambda: "until" in step_of(scene, step_id).cursor)
    scene.stop()
    assert scene.get(node_id).provision_state == "deploying"
    with scene.store.write() as session:
        # The journal says until when the fake deployment takes; that time is over now.
        session.get_one(Step, step_id).cursor = {"until": "2020-01-01T00:00:00+00:00"}
    scene.start()
    scene.until_state(node_id, "active")
    with scene.store.read() as session:
        assert [op.state for op in session.scalars(select(Operation))] == ["done"]


def step_of(scene: Any, step_id: int) -> Step:
    with scene.store.read() as session:
        return session.get_one(Step, step_id)


def test_every_change_of_state_is_an_event_from_which_the_life_can_be_replayed(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll")
    scene.provision(node_id, "manage")
    scene.until_state(node_id, "manageable")
    with scene.store.read() as session:
        told = [e.message for e in events.of_node(session, node_id, 0, 100) if e.kind == "state"]
    assert told == ["enroll -> verifying", "verifying -> manageable"]
