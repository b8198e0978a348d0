"""How flows end badly: in each of their steps, at a deadline in each waiting state."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm.attributes import flag_modified

from drophammer import operations
from drophammer.model import Node

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
FAULT = "the smoke came out"
SHA = "0" * 64


def step(name: str, **more: Any) -> dict[str, Any]:
    interface, _, step = name.partition(".")
    return {"interface": interface, "step": step, "args": {}, **more}


def journal(scene: Any, node_id: int) -> list[tuple[str, str]]:
    with scene.store.read() as session:
        (latest,) = operations.of_node(session, node_id, 1)
        assert latest.finished_at is not None
        return [(step.step, step.state) for step in operations.steps_of(session, [latest.id])]


def break_now(scene: Any, node_id: int, *kinds: str) -> None:
    with scene.store.write() as session:
        node = session.get_one(Node, node_id)
        node.driver_info = {**node.driver_info, "fake_fault": dict.fromkeys(kinds, FAULT)}
        flag_modified(node, "driver_info")


LIST = ("bios.factory_reset", "raid.delete_configuration", "power.power_on")
CLEAN = {"clean_steps": [step(name) for name in (*LIST, "deploy.erase_devices")]}
SERVICE = {"service_steps": [step(name) for name in LIST]}
DEPLOY = {
    "deploy_steps": [
        step("bios.factory_reset", priority=150),
        step("raid.delete_configuration", priority=120),
        step("power.reboot", priority=10),
    ]
}
FAILURES: list[tuple[str, str, dict[str, Any], str, str, str]] = [
    # state, verb, request, what is broken, the step that fails, the state it fails to
    ("enroll", "manage", {}, "power", "verify_power", "enroll"),
    ("manageable", "inspect", {}, "inspect", "inspect", "inspect failed"),
    ("manageable", "provide", {}, "deploy", "erase_devices_metadata", "clean failed"),
    ("manageable", "clean", CLEAN, "bios", "factory_reset", "clean failed"),
    ("manageable", "clean", CLEAN, "raid", "delete_configuration", "clean failed"),
    ("manageable", "clean", CLEAN, "power", "power_on", "clean failed"),
    ("manageable", "clean", CLEAN, "deploy", "erase_devices", "clean failed"),
    ("available", "active", DEPLOY, "bios", "factory_reset", "deploy failed"),
    ("available", "active", DEPLOY, "raid", "delete_configuration", "deploy failed"),
    ("available", "active", DEPLOY, "deploy", "deploy", "deploy failed"),
    ("active", "rebuild", DEPLOY, "deploy", "deploy", "deploy failed"),
    ("active", "deleted", {}, "power", "tear_down_instance", "error"),
    ("active", "deleted", {}, "deploy", "erase_devices_metadata", "clean failed"),
    ("manageable", "adopt", {}, "power", "adopt_instance", "adopt failed"),
    ("active", "rescue", {"rescue_password": "x"}, "rescue", "rescue", "rescue failed"),
    ("rescue", "unrescue", {}, "rescue", "unrescue", "unrescue failed"),
    ("active", "service", SERVICE, "bios", "factory_reset", "service failed"),
    ("active", "service", SERVICE, "raid", "delete_configuration", "service failed"),
    ("active", "service", SERVICE, "power", "power_on", "service failed"),
]


def test_a_step_that_fails_ends_its_flow_and_says_so(scene: Any) -> None:
    scene.start()
    begun = []
    for start, verb, request, kind, *expected in FAILURES:
        node_id = scene.node(start, driver_info={"fake_fault": {kind: FAULT}})
        scene.provision(node_id, verb, **request)
        begun.append((node_id, verb, *expected))
    for node_id, verb, failing, end in begun:
        node = scene.until(
            node_id, lambda n, end=end: n.provision_state == end and n.operation_id is None
        )
        assert FAULT in (node.last_error or ""), (verb, failing)
        assert (node.clean_step, node.deploy_step, node.service_step) == ({}, {}, {})
        assert (node.deadline, node.target_power_state) == (None, None)
        steps = journal(scene, node_id)
        at = [name for name, _ in steps].index(failing)
        assert [state for _, state in steps[: at + 1]] == ["done"] * at + ["failed"]
        assert {state for _, state in steps[at + 1 :]} <= {"pending"}
        kept = node.maintenance, node.fault
        kind = {"clean failed": "clean failure", "service failed": "service failure"}.get(end)
        assert kept == ((True, kind) if kind else (False, None))


def deploy(scene: Any, image_server: Any) -> int:
    scene.start(**FILES)
    info = {"image_source": image_server.url + "/image.raw", "image_checksum": SHA}
    node_id = scene.machine("available", instance_info=info)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "wait call-back")
    return int(node_id)


@pytest.mark.parametrize(
    ("broken", "failing"),
    [("management", "prepare_instance_boot"), ("power", "tear_down_agent")],
)
def test_a_deployment_whose_machine_breaks_behind_the_image_fails_there(
    scene: Any, agent: Any, image_server: Any, broken: str, failing: str
) -> None:
    node_id = deploy(scene, image_server)
    break_now(scene, node_id, broken)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "deploy failed")
    assert FAULT in node.last_error
    assert ("write_image", "done") in journal(scene, node_id)
    assert (failing, "failed") in journal(scene, node_id)
    assert node.instance_info["image_checksum"] == SHA
    assert not node.maintenance


WAIT = step("power.wait")
HOLD = step("power.hold")


def test_each_state_that_waits_has_an_end_by_its_deadline(scene: Any) -> None:
    scene.start(**FILES)
    waiting = [
        ("manageable", "clean", {"clean_steps": [WAIT]}, "clean wait", "clean failed"),
        (
            "available",
            "active",
            {"deploy_steps": [{**WAIT, "priority": 110}]},
            "wait call-back",
            "deploy failed",
        ),
        ("active", "service", {"service_steps": [WAIT]}, "service wait", "service failed"),
    ]
    nodes = []
    for start, verb, request, state, end in waiting:
        node_id = scene.node(start)
        scene.provision(node_id, verb, **request)
        assert scene.until_state(node_id, state).deadline is not None
        nodes.append((node_id, end))
    end_late(scene, [node_id for node_id, _ in nodes])
    for node_id, end in nodes:
        assert "imed out" in scene.until_state(node_id, end).last_error


@pytest.mark.parametrize(
    ("start", "verb", "state", "end"),
    [
        ("manageable", "inspect", "inspect wait", "inspect failed"),
        ("active", "rescue", "rescue wait", "rescue failed"),
    ],
)
def test_a_ramdisk_that_is_never_heard_of_ends_what_waits_for_it(
    scene: Any, start: str, verb: str, state: str, end: str
) -> None:
    scene.start(**FILES)
    node_id = scene.machine(start, rescue_interface="agent")
    request = {"rescue_password": "x"} if verb == "rescue" else {}
    scene.provision(node_id, verb, **request)
    assert scene.until_state(node_id, state).deadline is not None
    end_late(scene, [node_id])
    node = scene.until_state(node_id, end)
    assert "imed out" in node.last_error
    assert node.instance_info == {}
    assert node.power_state == "power off"


def test_what_is_held_has_no_deadline_and_is_let_go_to_its_end(scene: Any) -> None:
    scene.start(**FILES)
    held = [
        ("manageable", "clean", {"clean_steps": [HOLD]}, "clean hold", "manageable"),
        (
            "available",
            "active",
            {"deploy_steps": [{**HOLD, "priority": 110}]},
            "deploy hold",
            "active",
        ),
        ("active", "service", {"service_steps": [HOLD]}, "service hold", "active"),
    ]
    nodes = []
    for start, verb, request, state, end in held:
        node_id = scene.node(start)
        scene.provision(node_id, verb, **request)
        assert scene.until_state(node_id, state).deadline is None
        nodes.append((node_id, state, end))
    scene.process.periodic.sweep()
    for node_id, state, end in nodes:
        assert scene.until_state(node_id, state).operation_id is not None
        scene.provision(node_id, "unhold")
        node = scene.until(
            node_id, lambda n, end=end: n.provision_state == end and n.operation_id is None
        )
        assert node.last_error is None


def end_late(scene: Any, node_ids: list[int]) -> None:
    """The nodes' deadlines have passed, and somebody looks."""
    with scene.store.write() as session:
        for node_id in node_ids:
            node = session.get_one(Node, node_id)
            node.deadline = scene.store.clock.now().replace(year=2020)
    scene.process.periodic.sweep()
