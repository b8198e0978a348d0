"""Manual cleaning and service by an operator's list: reserved steps, hold, abort, child nodes."""

from __future__ import annotations

from typing import Any

import pytest

from conductor.task import Task
from conductor.wish import own
from drophammer import boots, events, operations
from drophammer.errors import Conflict, InMaintenance, Invalid, InvalidState
from drophammer.model import Node, Operation, Step

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
ERASE = {"interface": "deploy", "step": "erase_devices_metadata"}
HOLD = {"interface": "power", "step": "hold"}


def reserved(name: str, **more: Any) -> dict[str, Any]:
    return {"interface": "power", "step": name, **more}


def journal(scene: Any, node_id: int) -> list[tuple[str, str]]:
    """The steps of the node's latest operation, with their states."""
    with scene.store.read() as session:
        (latest,) = operations.of_node(session, node_id, 1)
        return [(step.step, step.state) for step in operations.steps_of(session, [latest.id])]


def latest(scene: Any, node_id: int) -> Operation:
    with scene.store.read() as session:
        (operation,) = operations.of_node(session, node_id, 1)
        return operation


def test_manual_cleaning_runs_the_list_in_its_order_and_ends_manageable(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    steps = [reserved("power_on"), ERASE, reserved("reboot"), reserved("power_off")]
    scene.provision(node_id, "clean", clean_steps=steps)
    node = scene.until(
        node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None
    )
    assert journal(scene, node_id) == [
        ("power_on", "done"),
        ("erase_devices_metadata", "done"),
        ("reboot", "done"),
        ("power_off", "done"),
    ]
    assert node.power_state == "power off"
    assert node.target_provision_state is None
    assert node.last_error is None


def test_manual_cleaning_seeks_manageable_and_shows_its_step(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    steps = [{**ERASE, "order": 2}, {**HOLD, "order": 1}]
    scene.provision(node_id, "clean", clean_steps=steps)
    node = scene.until_state(node_id, "clean hold")
    assert node.target_provision_state == "manageable"
    assert node.clean_step["step"] == "hold"
    assert node.deadline is None


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"interface": "raid", "step": "dance"}], r"no step raid\.dance"),
        ([{"interface": "bios", "step": "factory_reset", "args": {"x": 1}}], "no argument 'x'"),
        ([{"interface": "bios", "step": "apply_configuration"}], "'settings' is missing"),
        ([reserved("power_on", execute_on_child_nodes=True)], "no child nodes"),
        ([{**ERASE, "order": 1}, ERASE], "with every step"),
        ([], "at least one step"),
    ],
)
def test_steps_that_cannot_run_are_refused_before_anything_starts(
    scene: Any, steps: Any, said: str
) -> None:
    scene.start()
    for state, verb in (("manageable", "clean"), ("active", "service")):
        node_id = scene.node(state)
        with pytest.raises(Invalid, match=said):
            scene.provision(node_id, verb, **{f"{verb}_steps": steps})
        node = scene.get(node_id)
        assert (node.provision_state, node.lease_owner, node.operation_id) == (state, None, None)


def test_a_held_node_waits_for_the_operator_and_takes_no_heartbeat_for_one(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "clean", clean_steps=[HOLD, ERASE])
    scene.until_state(node_id, "clean hold")
    scene.bus.call("conductor", "heartbeat", node_id=node_id)
    assert scene.until_state(node_id, "clean hold").clean_step["step"] == "hold"
    scene.provision(node_id, "unhold")
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    assert journal(scene, node_id) == [("hold", "done"), ("erase_devices_metadata", "done")]
    with pytest.raises(InvalidState):
        scene.provision(node_id, "unhold")


def test_a_held_node_goes_on_after_a_restart_of_the_conductor(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "clean", clean_steps=[HOLD, ERASE])
    scene.until_state(node_id, "clean hold")
    scene.stop()
    scene.start()
    assert scene.get(node_id).provision_state == "clean hold"
    scene.provision(node_id, "unhold")
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)


def test_an_abort_of_held_cleaning_ends_it_without_a_fault(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "clean", clean_steps=[HOLD, ERASE])
    scene.until_state(node_id, "clean hold")
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "clean failed")
    assert "Aborted" in node.last_error
    assert "power.hold" in node.last_error
    assert (node.maintenance, node.fault, node.clean_step) == (False, None, {})
    assert node.target_provision_state == "manageable"
    assert latest(scene, node_id).state == "aborted"


def test_a_wait_of_seconds_ends_by_itself_and_is_cut_to_the_limit(scene: Any) -> None:
    scene.start(max_step_wait=0.05)
    node_id = scene.node("manageable")
    step = reserved("wait", args={"seconds": 3600})
    scene.provision(node_id, "clean", clean_steps=[step])
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    with scene.store.read() as session:
        told = [one.message for one in events.of_node(session, node_id, 0, 100)]
    assert (
        "power.wait: 0.05 s instead of 3600 s ([conductor] max_conductor_wait_step_seconds)" in told
    )


def test_a_wait_without_seconds_ends_with_the_next_word_of_the_ramdisk(
    scene: Any, agent: Any
) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "clean", clean_steps=[reserved("wait"), ERASE])
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda n: n.clean_step.get("step") == "wait" and n.provision_state == "clean wait",
    )
    scene.bus.call("conductor", "heartbeat", node_id=node_id)  # Nothing was said: it waits on.
    scene.until(node_id, lambda n: n.provision_state == "clean wait")
    assert agent.names() == ["clean.get_clean_steps"]
    scene.call_back(node_id, agent)
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    assert "clean.execute_clean_step" in agent.names()


def test_the_agents_steps_run_in_the_operators_order_with_arguments(scene: Any, agent: Any) -> None:
    agent.clean_steps[1]["argsinfo"] = {"passes": {"description": "", "required": False}}
    agent.clean_steps[1]["priority"] = 0
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    erase = {"interface": "deploy", "step": "erase_devices", "args": {"passes": 2}}
    scene.provision(node_id, "clean", clean_steps=[erase, ERASE])
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    node = scene.until(
        node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None
    )
    sent = [p["step"] for name, p in agent.received if name == "clean.execute_clean_step"]
    assert [(step["step"], step["args"]) for step in sent] == [
        ("erase_devices", {"passes": 2}),
        ("erase_devices_metadata", {}),
    ]
    assert node.power_state == "power off"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"interface": "deploy", "step": "dance"}, r"no step deploy\.dance; it offers: .*erase"),
        ({**ERASE, "args": {"x": 1}}, "no argument 'x'"),
    ],
)
def test_what_the_ramdisk_does_not_offer_fails_before_any_step_of_its(
    scene: Any, agent: Any, step: Any, said: str
) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "clean", clean_steps=[ERASE, step])
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(node.last_error)
    assert not node.maintenance
    assert agent.names() == ["clean.get_clean_steps"]


def test_a_reboot_in_the_ramdisk_comes_back_to_the_ramdisk(scene: Any, agent: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "clean", clean_steps=[reserved("reboot"), ERASE])
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda n: n.clean_step.get("step") == "reboot" and n.provision_state == "clean wait",
    )
    assert scene.netboot.prepared == [node_id, node_id]
    scene.call_back(node_id, agent)
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)


def test_disable_ramdisk_boots_none_and_refuses_what_needs_one(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    with pytest.raises(Invalid, match=r"no step deploy\.erase_devices_metadata"):
        scene.provision(node_id, "clean", clean_steps=[ERASE], disable_ramdisk=True)
    scene.provision(node_id, "clean", clean_steps=[reserved("power_off")], disable_ramdisk=True)
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    assert scene.netboot.prepared == []


def test_a_step_that_fails_in_manual_cleaning_leaves_the_fault(scene: Any, agent: Any) -> None:
    agent.error = "disk on fire"
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "clean", clean_steps=[ERASE])
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert (node.fault, node.target_provision_state) == ("clean failure", "manageable")


def test_a_machine_that_must_stay_on_takes_no_step_that_switches_it_off(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable", disable_power_off=True)
    with pytest.raises(Invalid, match="disable_power_off"):
        scene.provision(node_id, "clean", clean_steps=[reserved("reboot")])
    scene.provision(node_id, "clean", clean_steps=[reserved("power_on")])
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)


def test_maintenance_refuses_steps(scene: Any) -> None:
    scene.start()
    for state, verb in (("manageable", "clean"), ("active", "service"), ("active", "rescue")):
        node_id = scene.node(state, maintenance=True)
        with pytest.raises(InMaintenance):
            scene.provision(
                node_id, verb, clean_steps=[HOLD], service_steps=[HOLD], rescue_password="x"
            )


def test_service_runs_its_steps_on_a_deployed_node(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active")
    scene.provision(node_id, "service", service_steps=[reserved("reboot"), HOLD])
    node = scene.until_state(node_id, "service hold")
    assert node.service_step["step"] == "hold"
    scene.provision(node_id, "unhold")
    node = scene.until_state(node_id, "active")
    assert (node.service_step, node.target_provision_state) == ({}, None)
    assert node.power_state == "power on"


def test_another_service_takes_the_place_of_a_held_one(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active")
    scene.provision(node_id, "service", service_steps=[HOLD])
    scene.until_state(node_id, "service hold")
    scene.provision(node_id, "service", service_steps=[reserved("power_on")])
    scene.until_state(node_id, "active")
    with scene.store.read() as session:
        ended = [op.state for op in operations.of_node(session, node_id, 10)]
    assert ended == ["done", "aborted"]


def test_an_aborted_service_ends_active_and_says_why(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active")
    scene.provision(node_id, "service", service_steps=[HOLD, reserved("reboot")])
    scene.until_state(node_id, "service hold")
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "active")
    assert "Aborted" in node.last_error
    assert (node.maintenance, node.service_step) == (False, {})
    assert latest(scene, node_id).state == "aborted"
    assert journal(scene, node_id) == [("hold", "failed")]


def test_an_aborted_service_brings_the_deployed_system_back(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("active", power_state="power on")
    scene.provision(node_id, "service", service_steps=[ERASE])
    scene.until_state(node_id, "service wait")
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "active")
    assert "Aborted" in node.last_error
    assert node.power_state == "power on"
    assert journal(scene, node_id) == [("boot_ramdisk", "failed"), ("restore_instance", "done")]


def test_service_in_the_ramdisk_speaks_of_service_and_ends_with_the_system_running(
    scene: Any, agent: Any
) -> None:
    agent.service_steps = agent.clean_steps
    scene.start(**FILES)
    node_id = scene.machine("active", power_state="power on")
    scene.provision(node_id, "service", service_steps=[ERASE])
    scene.until_state(node_id, "service wait")
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "active")
    assert agent.names() == ["service.get_service_steps", "service.execute_service_step"]
    assert node.power_state == "power on"
    assert node.last_error is None


def test_a_failed_service_can_be_left_for_active(scene: Any, agent: Any) -> None:
    agent.error = "no"
    agent.service_steps = agent.clean_steps
    scene.start(**FILES)
    node_id = scene.machine("active", power_state="power on")
    scene.provision(node_id, "service", service_steps=[ERASE])
    scene.until_state(node_id, "service wait")
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "service failed")
    assert (node.fault, node.maintenance, node.power_state) == (
        "service failure",
        True,
        "power off",
    )
    with pytest.raises(Conflict, match="maintenance"):
        scene.provision(node_id, "abort")
    with scene.store.write() as session:
        session.get_one(type(node), node_id).maintenance = False
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    assert node.operation_id is None


def test_another_service_after_a_failed_one_brings_the_system_back_too(
    scene: Any, agent: Any
) -> None:
    scene.start(**FILES)
    node_id = scene.machine("active", power_state="power on")
    scene.provision(node_id, "service", service_steps=[ERASE])
    scene.until_state(node_id, "service wait")
    late(scene, node_id)
    scene.until_state(node_id, "service failed")
    scene.provision(node_id, "service", service_steps=[HOLD])
    scene.until_state(node_id, "service hold")
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    assert journal(scene, node_id) == [("hold", "failed"), ("restore_instance", "done")]


def late(scene: Any, node_id: int) -> None:
    """The node's deadline has passed, and somebody looks."""
    with scene.store.write() as session:
        node = session.get_one(Node, node_id)
        node.deadline = scene.store.clock.now().replace(year=2020)
    scene.process.periodic.sweep()


def test_a_system_that_boots_from_the_network_does_so_again_after_service(scene: Any) -> None:
    scene.start(**FILES)
    files = {"kernel": "http://127.0.0.1/own-kernel", "ramdisk": "http://127.0.0.1/own-ramdisk"}
    node_id = scene.machine("active", power_state="power on", instance_info=files)
    with scene.store.write() as session:
        session.get_one(Node, node_id).deploy_interface = "ramdisk"
    scene.provision(node_id, "service", service_steps=[ERASE])
    scene.until_state(node_id, "service wait")
    scene.provision(node_id, "abort")
    scene.until_state(node_id, "active")
    with scene.store.read() as session:
        found = boots.by_mac(session, "52:54:00:00:00:01")
    assert found is not None
    assert found[1] is not None
    assert (found[1].purpose, found[1].kernel) == ("instance", files["kernel"])


def test_steps_of_the_driver_and_of_the_ramdisk_mix_and_reboots_come_between(
    scene: Any, agent: Any
) -> None:
    agent.clean_steps[0]["reboot_requested"] = True
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    steps = [{"interface": "bios", "step": "factory_reset"}, ERASE, reserved("power_on")]
    scene.provision(node_id, "clean", clean_steps=steps)
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda n: n.provision_state == "clean wait" and len(scene.netboot.prepared) == 2,
    )
    scene.call_back(node_id, agent)
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    assert [step for step, _ in journal(scene, node_id)] == [
        "boot_ramdisk", "check_agent_steps", "factory_reset", "erase_devices_metadata",
        "boot_ramdisk", "meet_agent_again", "power_on", "leave_ramdisk",
    ]  # fmt: skip


def test_a_service_whose_ramdisk_never_calls_back_fails_at_its_deadline(scene: Any) -> None:
    scene.start(**FILES, service_timeout=7)
    node_id = scene.machine("active", power_state="power on")
    scene.provision(node_id, "service", service_steps=[ERASE])
    node = scene.until_state(node_id, "service wait")
    left = node.deadline - scene.store.clock.now()
    assert 0 < left.total_seconds() <= 7
    late(scene, node_id)
    node = scene.until_state(node_id, "service failed")
    assert "Timed out" in node.last_error
    assert (node.fault, node.target_provision_state) == (None, "active")


def test_a_held_node_is_never_late(scene: Any) -> None:
    process = scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "clean", clean_steps=[HOLD])
    scene.until_state(node_id, "clean hold")
    process.periodic.sweep(first=True)
    assert scene.until_state(node_id, "clean hold").deadline is None


def test_a_way_back_that_was_interrupted_is_gone_on_with(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("active", power_state="power on")
    scene.provision(node_id, "service", service_steps=[ERASE])
    scene.until_state(node_id, "service wait")
    task = Task.resume(scene.process.box, node_id, "abort")
    assert task is not None
    step = task.step()
    assert step is not None
    task.fire("resume")
    task.give_way(step, "Aborted.", [own("restore_instance")])
    scene.stop()
    with scene.store.write() as session:
        session.get_one(Node, node_id).lease_owner = None
    scene.start()
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    assert node.last_error == "Aborted. The machine is on; the node is in 'active'."


def test_a_power_step_reaches_the_child_nodes(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    parent = scene.get(node_id).uuid
    children = [scene.node("manageable", parent_node=parent) for _ in range(3)]
    limit = [scene.get(child).uuid for child in children[:2]]
    step = reserved("power_on", execute_on_child_nodes=True, limit_child_node_execution=limit)
    scene.provision(node_id, "clean", clean_steps=[step])
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    assert [scene.get(child).power_state for child in children] == ["power on", "power on", None]
    assert latest(scene, children[0]).verb == "power on"


def test_a_child_that_refuses_fails_the_step_with_its_name(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    parent = scene.get(node_id).uuid
    child = scene.node("clean wait", parent_node=parent)
    step = reserved("power_off", execute_on_child_nodes=True)
    scene.provision(node_id, "clean", clean_steps=[step])
    node = scene.until_state(node_id, "clean failed")
    assert scene.get(child).uuid in node.last_error


def test_what_was_done_is_in_the_journal_with_its_source(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "clean", clean_steps=[ERASE])
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    with scene.store.read() as session:
        (step,) = session.query(Step).all()
    assert (step.source, step.interface) == ("user", "deploy")
    assert latest(scene, node_id).request == {"clean_steps": [ERASE], "begun_in": "manageable"}
