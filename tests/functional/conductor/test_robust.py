"""Crashes, silence, maintenance and haste: what must not be lost, done twice, or left stuck."""

from __future__ import annotations

import datetime
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from conductor.agentclient import AgentClient
from conductor.begin import begin
from conductor.flows import Runner
from conductor.task import Task
from conductor.workers import Workers
from drophammer import events, operations
from drophammer.errors import (
    AgentUnreachable,
    Invalid,
    LeaseLost,
    NodeLocked,
    Unavailable,
    Unsupported,
)
from drophammer.model import Agent, Conductor, Inventory, Node, Operation, Step, new_uuid
from drophammer.netns import Namespace
from drophammer.processes import Process
from tests.patience import AT_ONCE, PATIENCE, until

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
SHA = "0" * 64


def to_clean_wait(scene: Any, **settings: Any) -> int:
    scene.start(**FILES, **settings)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    return int(node_id)


def until_erasing(scene: Any, node_id: int) -> Node:
    node: Node = scene.until(
        node_id,
        lambda node: (
            node.clean_step.get("step") == "erase_devices_metadata"
            and node.provision_state == "clean wait"
        ),
    )
    return node


def erasures(agent: Any) -> list[str]:
    return [p["step"]["step"] for name, p in agent.received if name.startswith("clean.execute")]


def lose_lease(scene: Any, node_id: int) -> None:
    """As if the holder had died and its lease had run out."""
    with scene.store.write() as session:
        node = session.get_one(Node, node_id)
        node.lease_owner = "dead"
        node.lease_expires = scene.store.clock.now() - datetime.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("target", "state"), [("rebooting", "power on"), ("soft rebooting", "power on")]
)
def test_a_controller_that_takes_its_time_reboots_too(scene: Any, target: str, state: str) -> None:
    scene.start(
        power_timeout=PATIENCE, soft_power_timeout=PATIENCE, fake_delays={"power": (0.4, 0.4)}
    )
    node_id = scene.node("active", power_state="power on")
    scene.bus.call("conductor", "power", node_id=node_id, target=target)
    node = scene.until(node_id, lambda node: node.operation_id is None)
    assert node.last_error is None
    assert node.power_state == state
    assert node.target_power_state is None


def test_a_power_operation_has_a_deadline_too(scene: Any) -> None:
    scene.start(fake_delays={"power": (0.3, 0.3)})
    node_id = scene.node("active", power_state="power on")
    scene.bus.call("conductor", "power", node_id=node_id, target="power off")
    assert scene.get(node_id).deadline is not None
    node = scene.until(node_id, lambda node: node.operation_id is None)
    assert node.deadline is None


def test_an_abort_does_not_break_off_a_step_that_must_not_be(scene: Any, agent: Any) -> None:
    agent.hold = True
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    until_erasing(scene, node_id)
    scene.provision(node_id, "abort")
    scene.call_back(node_id, agent)
    node = until_erasing(scene, node_id)
    assert node.power_state == "power on"
    agent.finish()
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "Aborted by the operator's request before" in node.last_error
    assert not node.maintenance
    with scene.store.read() as session:
        assert session.scalars(select(Operation.state)).all() == ["aborted"]


def test_an_abort_that_was_accepted_survives_the_conductor(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    scene.stop()
    with scene.store.write() as session:
        operation = session.scalars(select(Operation)).one()
        operations.request_abort(session, operation.id, operation.request)
    scene.start()
    node = scene.until_state(node_id, "clean failed")
    assert "Aborted" in node.last_error


def test_an_abortable_step_is_aborted_without_a_fault(scene: Any, agent: Any) -> None:
    agent.hold = True
    agent.clean_steps = agent.clean_steps[1:]
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    scene.until(node_id, lambda node: node.clean_step.get("step") == "erase_devices")
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "clean failed")
    assert not node.maintenance
    assert node.fault is None


def test_a_command_whose_sender_died_before_noting_it_is_not_sent_again(
    scene: Any, agent: Any
) -> None:
    agent.hold = True
    node_id = to_clean_wait(scene)
    agent.on_command = lambda name: (
        name == "clean.execute_clean_step" and lose_lease(scene, node_id)
    )
    scene.call_back(node_id, agent)
    agent.until(lambda: len(erasures(agent)) == 1)
    agent.on_command = lambda name: None
    agent.hold = False
    scene.until(node_id, lambda node: node.lease_owner == "dead", free=False)
    agent.finish()
    scene.process.periodic.sweep()
    scene.until_state(node_id, "available")
    assert erasures(agent) == ["erase_devices_metadata", "erase_devices"]


def test_a_look_that_the_agent_does_not_answer_ends_nothing(scene: Any, agent: Any) -> None:
    agent.hold = True
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    until_erasing(scene, node_id)
    agent.deaf = True
    scene.call_back(node_id, agent)
    until_erasing(scene, node_id)
    agent.deaf = False
    agent.hold = False
    agent.finish()
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")


def test_a_time_out_does_not_take_a_node_that_has_gone_on_meanwhile(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    live = Task.resume(scene.process.box, node_id, "heartbeat")
    assert live is not None
    live.fire("resume")
    assert Task.resume(scene.process.box, node_id, "deadline", seize=True) is None
    live.update({})
    live.release()


def test_a_second_look_leaves_the_first_time_to_clean_up(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    scene.stop()
    with scene.store.write() as session:
        session.get_one(Node, node_id).deadline = scene.store.clock.now().replace(year=2020)
    scene.start()
    node = scene.until_state(node_id, "clean failed")
    assert "Timed out" in node.last_error


def test_inspection_data_that_came_while_no_conductor_was_there_counts(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    scene.stop()
    with scene.store.write() as session:
        session.add(
            Inventory(
                node_id=node_id,
                inventory={"cpu": {"architecture": "riscv64"}},
                plugin_data={},
                created_at=scene.store.clock.now(),
            )
        )
        operations.wake(session, node_id)
    scene.start()
    node = scene.until_state(node_id, "manageable")
    assert node.properties["cpu_arch"] == "riscv64"


def test_in_maintenance_a_heartbeat_is_heard_and_nothing_done(scene: Any, agent: Any) -> None:
    node_id = to_clean_wait(scene)
    with scene.store.write() as session:
        session.get_one(Node, node_id).maintenance = True
    scene.call_back(node_id, agent)
    assert Task.resume(scene.process.box, node_id, "heartbeat", gently=True) is None
    assert scene.until_state(node_id, "clean wait").maintenance
    assert agent.names() == []
    with scene.store.write() as session:
        session.get_one(Node, node_id).maintenance = False
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")


def test_a_rebuild_with_a_wrong_image_leaves_the_running_system_alone(
    scene: Any, image_server: Any
) -> None:
    scene.start(**FILES)
    info = {"image_source": image_server.url + "/nope", "image_checksum": SHA}
    node_id = scene.machine("active", power_state="power on", instance_info=info)
    scene.provision(node_id, "rebuild")
    node = scene.until_state(node_id, "deploy failed")
    assert "HTTP 404" in node.last_error
    assert node.power_state == "power on"


def test_deploy_steps_that_nobody_has_are_refused_rather_than_ignored(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.node("available")
    step = {"interface": "raid", "step": "x", "args": {}, "priority": 50}
    with pytest.raises(Invalid, match=r"no step raid\.x"):
        scene.provision(node_id, "active", deploy_steps=[step])
    assert scene.get(node_id).provision_state == "available"


def test_work_of_a_process_that_was_killed_goes_on_at_its_restart(scene: Any) -> None:
    process = scene.start()
    node_id = scene.node("available")
    begin(
        process.box,
        node_id,
        verb="active",
        flow="deploy",
        event="deploy",
        request={},
        check=lambda node: {},
    )
    with scene.store.write() as session:
        # What stop() gives back orderly, a killed process would have kept.
        session.get_one(Node, node_id).lease_owner = process.box.holder.uuid
        own = Process.own()
        assert own is not None
        # The process id is that of another process by now.
        gone = replace(own, began=own.began + 1)
        session.scalars(select(Conductor)).one().process = str(gone)
    holder, scene.process = scene.process, None
    scene.start()
    scene.until_state(node_id, "active")
    holder.stop()


def test_a_step_that_asks_for_a_reboot_gets_a_fresh_ramdisk_for_the_next(
    scene: Any, agent: Any
) -> None:
    agent.clean_steps = [
        {"interface": "bios", "step": "flash", "priority": 20, "reboot_requested": True},
        {"interface": "deploy", "step": "erase_devices", "priority": 10},
    ]
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda node: len(scene.netboot.prepared) == 2 and node.provision_state == "clean wait",
    )
    assert erasures(agent) == ["flash"]
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")
    assert erasures(agent) == ["flash", "erase_devices"]
    versions = [p["clean_version"] for name, p in agent.received if name.startswith("clean.ex")]
    assert versions == [{"generic_hardware_manager": "1.2"}] * 2


def test_a_netboot_that_is_away_for_a_moment_is_asked_again(scene: Any, agent: Any) -> None:
    scene.start(**FILES, retry_seconds=0.05)
    node_id = scene.machine("manageable")
    scene.netboot.away = 2
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    assert scene.netboot.away == 0


def test_the_limit_of_cleanings_counts_those_after_a_deletion(scene: Any) -> None:
    to_clean_wait(scene, max_concurrent_clean=1)
    other = scene.node("active", deploy_interface="direct", boot_interface="ipxe")
    with pytest.raises(Unavailable, match="max_concurrent_clean"):
        scene.provision(other, "deleted")


def test_a_machine_that_may_not_be_powered_off_is_not_cleaned(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable", disable_power_off=True)
    with pytest.raises(Unsupported, match="disable_power_off"):
        scene.provision(node_id, "provide")


def test_a_system_can_be_given_up_without_a_ramdisk(scene: Any) -> None:
    scene.start()
    node_id = scene.machine("active", instance_info={"a": 1})
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "clean failed")
    assert node.instance_info == {}
    assert "deploy_kernel" in node.last_error


def test_a_deletion_ends_what_was_going_on(scene: Any) -> None:
    scene.start()
    node_id = scene.node("active", power_state="power on", target_power_state="power off")
    with scene.store.write() as session:
        operation = Operation(
            uuid=new_uuid(),
            node_id=node_id,
            verb="power off",
            flow="power",
            state="running",
            created_at=scene.store.clock.now(),
        )
        session.add(operation)
        session.flush()
        session.add(
            Step(
                operation_id=operation.id,
                position=0,
                interface="conductor",
                step="change_power",
                source="conductor",
                state="running",
            )
        )
        session.get_one(Node, node_id).operation_id = operation.id
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "available")
    assert node.target_power_state is None
    with scene.store.read() as session:
        states = session.scalars(select(Step.state).where(Step.step == "change_power")).all()
    assert states == ["failed"]


def test_a_failed_adoption_knows_nothing_of_the_power(scene: Any) -> None:
    scene.start()
    node_id = scene.machine("manageable", power_state="power on")
    scene.provision(node_id, "adopt")
    node = scene.until_state(node_id, "adopt failed")
    assert node.power_state is None
    assert "image_source is missing" in node.last_error


def test_what_a_machine_says_is_made_fit_for_people_and_databases(scene: Any, agent: Any) -> None:
    agent.error = "bad\x00news\x1b[31m" + "x" * 10000
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "bad news" in node.last_error
    assert "\x00" not in node.last_error
    assert "\x1b" not in node.last_error
    assert len(node.last_error) < 4100


def test_who_lost_the_lease_tells_no_hardware_anything(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    task = Task.resume(scene.process.box, node_id, "test")
    assert task is not None
    lose_lease(scene, node_id)
    with pytest.raises(LeaseLost):
        task.confirm()


def test_a_running_operation_says_that_it_runs(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    task = Task.resume(scene.process.box, node_id, "test")
    assert task is not None
    task.fire("resume")
    with scene.store.read() as session:
        assert session.scalars(select(Operation.state)).all() == ["running"]
        assert session.scalars(select(Agent.beats)).all() == [0]
    task.release()


def test_a_hard_power_off_replaces_a_soft_one_that_nobody_answers(scene: Any) -> None:
    delays = {"power": (2 * PATIENCE, 2 * PATIENCE)}
    scene.start(fake_delays=delays, soft_power_timeout=300)
    node_id = scene.node("active", power_state="power on")
    scene.bus.call("conductor", "power", node_id=node_id, target="soft power off")
    delays["power"] = (0.1, 0.1)
    scene.bus.call("conductor", "power", node_id=node_id, target="power off")
    node = scene.until(node_id, lambda node: node.operation_id is None)
    assert node.power_state == "power off"
    assert node.last_error is None
    with scene.store.read() as session:
        states = session.scalars(select(Operation.state).order_by(Operation.id)).all()
    assert states == ["aborted", "done"]


def test_a_deployment_is_not_replaced_by_a_power_request(scene: Any) -> None:
    scene.start(fake_delays={"deploy": (0.5, 0.5)})

    def refused() -> bool:
        """Whether the request came in time: a machine that stands still may be too late."""
        node_id = scene.node("available")
        scene.provision(node_id, "active")
        held = r"held for: active, since \d\d:\d\d:\d\d UTC"
        refusal = pytest.raises(NodeLocked, match=held)
        try:
            with refusal:
                scene.bus.call("conductor", "power", node_id=node_id, target="power off")
        except pytest.fail.Exception:
            assert scene.get(node_id).provision_state == "active"
            return False
        scene.until_state(node_id, "active")
        return True

    until(refused)


def test_an_agent_that_drips_its_answer_is_cut_off(scene: Any, agent: Any) -> None:
    node_id = to_clean_wait(scene, agent_timeout=0.3)
    agent.drip = True
    scene.call_back(node_id, agent)
    began = time.monotonic()
    with scene.store.read() as session:
        row = session.get_one(Agent, node_id)
    client = AgentClient(Namespace(), 0.3, connect_seconds=0.2)
    with pytest.raises(AgentUnreachable):
        client.run(row, "clean.get_clean_steps", {}, wait=True)
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.parametrize(
    "offer",
    [
        {"M": [5]},
        {"M": None},
        [1],
        {"M": [{"interface": "deploy", "step": "x", "priority": "abc"}]},
        {"M": [{"interface": "deploy", "step": "x", "priority": 10**22}]},
        {"M": [{"interface": "deploy", "step": {}, "priority": 1}]},
        {"M": [{"interface": "deploy", "step": "\ud800", "priority": 1}]},
        {"M": [{"interface": "deploy", "step": "x", "priority": 1}] * 1000},
    ],
)
def test_nonsense_of_an_agent_is_an_error_that_says_so(scene: Any, agent: Any, offer: Any) -> None:
    agent.offer = offer
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "The agent offers" in node.last_error
    assert "\n" not in node.last_error


@pytest.mark.parametrize(
    "facts",
    [
        {"cpu": "x", "boot": [1], "memory": "x", "disks": "x"},
        {"cpu": ["x"], "boot": {"pxe_interface": 5}, "disks": [5], "interfaces": {"a": 1}},
        {"cpu": {"architecture": {"a": 1}}, "disks": [{"size": "abc"}, {"size": None}]},
    ],
)
def test_odd_facts_end_no_inspection(scene: Any, facts: dict[str, Any]) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    with scene.store.write() as session:
        session.add(
            Inventory(
                node_id=node_id,
                inventory=facts,
                plugin_data={},
                created_at=scene.store.clock.now(),
            )
        )
    scene.bus.cast("conductor", "inspected", node_id=node_id)
    node = scene.until_state(node_id, "manageable")
    assert "cpu_arch" not in node.properties


@pytest.mark.parametrize(
    "info",
    [
        {"image_source": "http://[::1"},
        {"image_source": "http://[zz]/"},
        {"image_source": "http://x/a.img\r\nX: y"},
        {"image_source": " http://x/"},
        {"image_checksum": "http://[::1"},
    ],
)
def test_a_url_that_is_none_is_refused(scene: Any, info: dict[str, Any]) -> None:
    scene.start(**FILES)
    good = {"image_source": "http://x/i", "image_checksum": SHA}
    node_id = scene.machine("available", instance_info={**good, **info})
    verdict = scene.bus.call("conductor", "validate", node_id=node_id)
    assert verdict["deploy"]["result"] is False
    with pytest.raises(Invalid):
        scene.provision(node_id, "active")


def test_a_signed_url_is_not_shown(scene: Any) -> None:
    scene.start(**FILES, retry_seconds=0.01)
    info = {"image_source": "http://127.0.0.1:9/i?token=CANARY", "image_checksum": SHA}
    node_id = scene.machine("available", instance_info=info)
    scene.provision(node_id, "active")
    node = scene.until_state(node_id, "deploy failed")
    assert "http://127.0.0.1:9/i?***" in node.last_error
    assert "CANARY" not in node.last_error


def test_an_abort_before_the_ramdisk_leaves_the_running_system_alone(
    scene: Any, image_server: Any
) -> None:
    process = scene.start(**FILES)
    info = {"image_source": image_server.url + "/image.raw", "image_checksum": SHA}
    node_id = scene.machine("active", power_state="power on", instance_info=info)
    task = begin(
        process.box,
        node_id,
        verb="rebuild",
        flow="deploy",
        event="rebuild",
        request={},
        check=lambda node: {},
    )
    task.operation.abort_requested = True
    workers = Workers(1)
    Runner(workers).run(task)
    workers.stop(1)
    node = scene.until_state(node_id, "deploy failed")
    assert "Aborted" in node.last_error
    assert node.power_state == "power on"


def test_a_machine_that_cannot_be_switched_off_after_cleaning_is_told_again(
    scene: Any, agent: Any
) -> None:
    # Off takes longer than is waited for: leaving the ramdisk fails, and its clean-up tries too.
    agent.clean_steps = agent.clean_steps[:1]
    delays: dict[str, tuple[float, float]] = {}
    scene.start(**FILES, power_timeout=0.3, fake_delays=delays)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    delays["power"] = (60.0, 60.0)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "Told node" in node.last_error
    with scene.store.read() as session:
        told = [event.message for event in events.of_node(session, node_id, 0, 500)]
    assert "off (clean-up)" in told


def test_an_abort_that_was_promised_of_a_held_node_outlives_its_conductor(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable")
    scene.provision(node_id, "clean", clean_steps=[{"interface": "power", "step": "hold"}])
    scene.until_state(node_id, "clean hold")
    scene.stop()
    # As a process leaves it that dies after it has promised.
    with scene.store.write() as session:
        operation = session.scalars(select(Operation)).one()
        operations.request_abort(session, operation.id, operation.request)
    scene.start()
    assert "Aborted" in scene.until_state(node_id, "clean failed").last_error


def test_interrupted_work_goes_on_in_maintenance(scene: Any) -> None:
    scene.start(fake_delays={"power": (60.0, 60.0)})
    node_id = scene.node("manageable", power_state="power off", maintenance=True)
    scene.bus.call("conductor", "power", node_id=node_id, target="power on", timeout=None)
    scene.until(node_id, lambda node: node.target_power_state == "power on", free=False)
    scene.stop()
    scene.start()
    scene.until(node_id, lambda node: (node.lease_purpose or "").startswith("going on"), free=False)
