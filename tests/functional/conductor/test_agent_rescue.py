"""Rescue by the ramdisk's agent: the password's way there, its end, and the way back."""

from __future__ import annotations

import json
from typing import Any

import bcrypt
import pytest
from sqlalchemy import text

from conductor.outcomes import Done
from conductor.task import Task
from drophammer import boots
from drophammer.errors import Invalid
from drophammer.model import Agent, Base, Node

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
OWN = {"rescue_kernel": "http://127.0.0.1/rk", "rescue_ramdisk": "http://127.0.0.1/rr"}
PASSWORD = "hunter2-rescue"
SECRETS = ("rescue_password", "hashed_rescue_password")


def to_rescue_wait(scene: Any, **fields: Any) -> int:
    scene.start(**FILES)
    node_id = scene.machine("active", rescue_interface="agent", power_state="power on", **fields)
    scene.provision(node_id, "rescue", rescue_password=PASSWORD)
    scene.until_state(node_id, "rescue wait")
    return int(node_id)


def booting(scene: Any) -> Any:
    with scene.store.read() as session:
        found = boots.by_mac(session, "52:54:00:00:00:01")
    return None if found is None else found[1]


def everything(scene: Any) -> str:
    with scene.store.read() as session:
        tables = Base.metadata.sorted_tables
        rows = [session.execute(text(f"select * from {table}")).all() for table in tables]
    return json.dumps([[list(map(str, row)) for row in table] for table in rows])


def test_the_agent_gets_the_hash_and_the_machine_stays_in_the_ramdisk(
    scene: Any, agent: Any
) -> None:
    node_id = to_rescue_wait(scene, instance_info={"image_source": "x"})
    assert booting(scene).purpose == "rescue"
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "rescue")
    ((name, params),) = agent.received
    assert name == "rescue.finalize_rescue"
    assert params["hashed"] is True
    assert bcrypt.checkpw(PASSWORD.encode(), params["rescue_password"].encode())
    assert (node.power_state, node.instance_info) == ("power on", {"image_source": "x"})
    assert (node.target_provision_state, node.last_error) == (None, None)
    told = everything(scene)
    assert PASSWORD not in told
    assert params["rescue_password"] not in told
    with scene.store.read() as session:
        row = session.get_one(Agent, node_id)
        assert (row.url, row.token) == (None, None)


def test_the_way_back_ends_on_the_disk(scene: Any, agent: Any) -> None:
    node_id = to_rescue_wait(scene)
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "rescue")
    scene.provision(node_id, "unrescue")
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    assert booting(scene) is None
    device = scene.bus.call("conductor", "get_boot_device", node_id=node_id)
    assert device == {"boot_device": "disk", "persistent": True}


def test_a_rescue_system_of_its_own_is_booted(scene: Any) -> None:
    to_rescue_wait(scene, driver_info=OWN)
    assert (booting(scene).kernel, booting(scene).ramdisk) == tuple(OWN.values())


def test_half_a_rescue_system_is_refused(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine(
        "active", rescue_interface="agent", driver_info={"rescue_kernel": OWN["rescue_kernel"]}
    )
    with pytest.raises(Invalid, match="rescue_kernel without the other"):
        scene.provision(node_id, "rescue", rescue_password=PASSWORD)
    assert scene.get(node_id).instance_info == {}


def test_what_the_agent_says_against_it_fails_the_rescue_and_takes_the_secrets(
    scene: Any, agent: Any
) -> None:
    agent.refuse = "this ramdisk has no SSH server"
    node_id = to_rescue_wait(scene, instance_info={"a": 1})
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "rescue failed")
    assert "no SSH server" in node.last_error
    assert (node.instance_info, node.power_state) == ({"a": 1}, "power off")
    assert (node.maintenance, node.target_provision_state) == (False, "rescue")
    assert booting(scene) is None


def test_an_abort_takes_the_secrets_and_leaves_no_fault(scene: Any) -> None:
    node_id = to_rescue_wait(scene)
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "rescue failed")
    assert "Aborted" in node.last_error
    assert (node.instance_info, node.fault, node.maintenance) == ({}, None, False)


def test_an_abort_that_cannot_clean_up_leaves_the_fault(scene: Any) -> None:
    node_id = to_rescue_wait(scene)
    with scene.store.write() as session:
        session.get_one(Node, node_id).driver_info = {"fake_fault": {"power": "no answer"}}
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "rescue failed")
    assert (node.instance_info, node.maintenance) == ({}, True)
    assert node.fault == "rescue abort failure"


def test_deleting_a_node_that_waits_for_its_rescue_takes_the_secrets(
    scene: Any, agent: Any
) -> None:
    node_id = to_rescue_wait(scene)
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "clean wait")
    assert node.instance_info == {}
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")


def test_a_password_that_was_given_before_a_crash_is_not_asked_for_again(
    scene: Any, agent: Any
) -> None:
    node_id = to_rescue_wait(scene)
    # As a process leaves it that dies when the agent has heard it and is gone.
    task = Task.resume(scene.process.box, node_id, "test")
    assert task is not None
    with scene.store.write() as session:
        row = session.get_one(Agent, node_id)
        row.url, row.token, row.version = "http://127.0.0.1:9", agent.token, "1"
    boot = task.step()
    assert boot is not None
    assert task.advance([(boot, Done())])
    finalize = task.step()
    assert finalize is not None
    task.note(finalize, told=True)
    task.release()
    scene.stop()
    scene.start()
    assert scene.until_state(node_id, "rescue").instance_info == {}
    assert agent.received == []
