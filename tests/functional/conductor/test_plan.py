"""What a verb would do, told before anybody asks for it: steps, losses, durations, refusals."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event, insert

from drophammer.errors import Invalid, NotFound
from drophammer.model import DeployTemplate, NodeTrait, Operation, new_uuid
from drophammer.store import Holder

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}


def plan(scene: Any, node_id: int, target: str, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = scene.bus.call(
        "conductor", "plan", node_id=node_id, target=target, request=request
    )
    return found


def names(steps: list[dict[str, Any]]) -> list[str]:
    return [f"{step['interface']}.{step['step']}" for step in steps]


def reasons(found: dict[str, Any]) -> list[str]:
    return [refusal["reason"] for refusal in found["refusals"]]


def test_a_plan_names_the_steps_in_order_and_what_they_destroy(scene: Any) -> None:
    scene.start()
    found = plan(scene, scene.node("available"), "active")
    assert names(found["steps"]) == ["deploy.deploy"]
    (step,) = found["steps"]
    assert (step["source"], step["priority"], step["destroys"]) == ("driver", 100, "root device")
    assert found["destroys"] == ["root device"]
    assert (found["refusals"], found["discovered_later"]) == ([], False)


def test_a_plan_takes_writes_and_sends_nothing(scene: Any) -> None:
    service = scene.start().service
    node_id = scene.node("available")
    asked: list[str] = []
    here = threading.get_ident()  # The conductor's own chores write meanwhile.

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.get_ident() == here:
            asked.append(statement)

    event.listen(scene.store.engine, "before_cursor_execute", note)
    service.plan(node_id, "active", {})
    event.remove(scene.store.engine, "before_cursor_execute", note)
    assert {statement.split()[0] for statement in asked} <= {"SELECT", "BEGIN"}
    assert len(asked) <= 6
    node = scene.get(node_id)
    assert (node.fence, node.provision_state, node.operation_id) == (0, "available", None)


def test_the_plan_is_what_then_runs(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    found = plan(scene, node_id, "provide")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "available")
    after = plan(scene, node_id, "active")
    assert names(found["steps"]) == ["deploy.erase_devices_metadata"]
    assert after["refusals"] == []


def test_a_plan_tells_how_long_it_took_the_last_time_and_on_average(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    assert plan(scene, node_id, "provide")["runs"] == 0
    for verb, state in (("provide", "available"), ("manage", "manageable")) * 2:
        scene.provision(node_id, verb)
        scene.until_state(node_id, state)
    found = plan(scene, node_id, "provide")
    assert found["runs"] == found["steps"][0]["runs"] == 2
    assert found["last_seconds"] >= found["steps"][0]["last_seconds"] >= 0
    assert found["mean_seconds"] is not None


def test_every_refusal_is_told_and_not_the_first_one_only(scene: Any) -> None:
    scene.start(max_concurrent_deploy=1)
    other = scene.node("deploying")
    node_id = scene.node(
        "active",
        maintenance=True,
        maintenance_reason="a fan is broken",
        protected=True,
        protected_reason="in production",
        deploy_interface="direct",
        boot_interface="ipxe",
        network_interface="flat",
    )
    with scene.store.write() as session:
        session.execute(
            insert(Operation).values(
                uuid=new_uuid(),
                node_id=other,
                verb="active",
                flow="deploy",
                state="running",
                request={},
                created_at=scene.store.clock.now(),
            )
        )
        scene.store.reserve(session, node_id, Holder("other", "host-b"), "set boot mode")
    found = plan(scene, node_id, "rebuild")
    assert {"maintenance", "protected", "lease", "limit", "deploy", "boot"} <= set(reasons(found))
    text = " ".join(refusal["message"] for refusal in found["refusals"])
    for word in ("a fan is broken", "in production", "host-b", "set boot mode", "image_source"):
        assert word in text
    assert names(found["steps"]), "what is missing hides no steps"


@pytest.mark.parametrize(
    ("state", "target", "columns", "reason"),
    [
        ("enroll", "active", {}, "state"),
        ("manageable", "provide", {"retired": True}, "retired"),
        ("available", "active", {"driver": "vanished"}, "steps"),
        ("manageable", "provide", {"driver_info": {"step_priorities": 1}}, "steps"),
        ("manageable", "provide", {"driver_info": {"step_priorities": {"a.b": -1}}}, "steps"),
        ("available", "active", {"instance_info": {"traits": ["CUSTOM_X"]}}, "steps"),
        ("available", "active", {"instance_info": {"traits": 1}}, "steps"),
    ],
)
def test_what_a_request_would_be_refused_for_is_among_the_refusals(
    scene: Any, state: str, target: str, columns: dict[str, Any], reason: str
) -> None:
    scene.start()
    node_id = scene.node(state)
    with scene.store.write() as session:
        node = session.get_one(type(scene.get(node_id)), node_id)
        for name, value in columns.items():
            setattr(node, name, value)
    assert reason in reasons(plan(scene, node_id, target))


def test_templates_and_runbooks_are_named_as_sources(scene: Any) -> None:
    scene.start()
    node_id = scene.node("available", instance_info={"traits": ["CUSTOM_RAID"]})
    step = {"interface": "raid", "step": "delete_configuration", "args": {}, "priority": 120}
    with scene.store.write() as session:
        session.add(NodeTrait(node_id=node_id, trait="CUSTOM_RAID"))
        session.add(
            DeployTemplate(
                uuid=new_uuid(),
                name="CUSTOM_RAID",
                steps=[step],
                created_at=scene.store.clock.now(),
            )
        )
    first, second = plan(scene, node_id, "active")["steps"]
    assert (first["source"], first["source_name"]) == ("template", "CUSTOM_RAID")
    assert (first["priority"], first["destroys"]) == (120, "RAID volumes")
    assert (second["source"], second["source_name"]) == ("driver", None)
    node_id = scene.node("manageable")
    steps = [{"interface": "deploy", "step": "erase_devices", "args": {}, "order": 1}]
    request = {"clean_steps": steps, "runbook": new_uuid(), "runbook_name": "CUSTOM_WIPE"}
    (step,) = plan(scene, node_id, "clean", **request)["steps"]
    assert (step["source"], step["source_name"]) == ("runbook", "CUSTOM_WIPE")
    assert (step["destroys"], step["abortable"]) == ("all disks", True)


@pytest.mark.parametrize(("state", "target"), [("manageable", "clean"), ("active", "service")])
def test_without_steps_a_plan_says_which_are_on_offer(scene: Any, state: str, target: str) -> None:
    scene.start()
    found = plan(scene, scene.node(state), target)
    assert (found["steps"], found["refusals"]) == ([], [])
    offers = {f"{step['interface']}.{step['step']}": step for step in found["on_offer"]}
    assert offers["raid.delete_configuration"]["destroys"] == "RAID volumes"
    assert "settings" in offers["bios.apply_configuration"]["argsinfo"]
    assert plan(scene, scene.node(state), "active")["on_offer"] is None


def test_steps_of_the_ramdisk_are_told_as_discovered_later_and_known_from_the_last_time(
    scene: Any, agent: Any
) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    before = plan(scene, node_id, "provide")
    assert before["discovered_later"]
    assert names(before["steps"]) == [
        "conductor.boot_ramdisk",
        "conductor.plan_agent_steps",
        "conductor.leave_ramdisk",
    ]
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")
    found = plan(scene, node_id, "active")
    assert "state" not in reasons(found)
    steps = plan(scene, node_id, "deleted")["steps"]
    later = [step for step in steps if step["discovered_later"]]
    assert names(later) == ["deploy.erase_devices_metadata", "deploy.erase_devices"]
    assert {step["destroys"] for step in later} == {"all disks"}
    assert later[0]["runs"] == 1


def test_what_is_left_of_a_held_operation_is_the_plan_of_unhold(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    steps = [{"interface": "deploy", "step": name} for name in ("hold", "erase_devices")]
    scene.provision(node_id, "clean", clean_steps=steps)
    scene.until_state(node_id, "clean hold")
    found = plan(scene, node_id, "unhold")
    assert names(found["steps"]) == ["deploy.hold", "deploy.erase_devices"]
    assert found["refusals"] == []


@pytest.mark.parametrize("target", ["manage", "abort", "unhold"])
def test_verbs_that_begin_nothing_have_no_steps(scene: Any, target: str) -> None:
    scene.start()
    found = plan(scene, scene.node("available"), target)
    assert (found["steps"], found["flow"]) == ([], None)


def test_an_unknown_verb_or_node_is_no_plan(scene: Any) -> None:
    scene.start()
    with pytest.raises(Invalid, match="no provision verb 'fly'"):
        plan(scene, scene.node(), "fly")
    with pytest.raises(NotFound):
        plan(scene, 4711, "active")
