"""Flows that need a ramdisk: cleaning, deployment, what goes wrong in them, and time-outs."""

from __future__ import annotations

import base64
import gzip
import io
import threading
import time
from typing import Any

import pycdlib
import pytest

from conductor.task import Task
from drophammer import boots
from drophammer.errors import Invalid
from drophammer.model import Agent, Inventory, Node, Operation, Step
from tests.patience import AT_ONCE, PATIENCE

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
SHA = "0" * 64


def spec_of(scene: Any, node_id: int) -> Any:
    with scene.store.read() as session:
        found = boots.by_mac(session, "52:54:00:00:00:01")
    assert found is not None
    assert found[0] == node_id
    return found[1]


def steps_of(scene: Any) -> list[tuple[str, str]]:
    with scene.store.read() as session:
        return [(s.step, s.state) for s in session.query(Step).order_by(Step.position)]


def to_clean_wait(scene: Any) -> int:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    return int(node_id)


def test_cleaning_runs_what_the_agent_offers_in_order(scene: Any, agent: Any) -> None:
    node_id = to_clean_wait(scene)
    spec = spec_of(scene, node_id)
    assert spec.purpose == "clean"
    assert "ipa-api-url=http://127.0.0.1:6385" in spec.parameters
    assert scene.netboot.prepared == [node_id]
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "available")
    executed = [p["step"]["step"] for n, p in agent.received if n == "clean.execute_clean_step"]
    assert executed == ["erase_devices_metadata", "erase_devices"]
    assert node.power_state == "power off"
    assert node.clean_step == {}
    assert spec_of(scene, node_id) is None


def test_the_priorities_of_the_configuration_win(scene: Any, agent: Any) -> None:
    scene.start(**FILES, erase_devices_priority=0)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")
    executed = [p["step"]["step"] for n, p in agent.received if n == "clean.execute_clean_step"]
    assert executed == ["erase_devices_metadata"]


def test_cleaning_without_any_effective_step_fails(scene: Any, agent: Any) -> None:
    agent.clean_steps = []
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "Nothing was erased" in node.last_error


def test_a_failed_clean_step_leaves_a_fault_for_the_operator(scene: Any, agent: Any) -> None:
    agent.error = "disk on fire"
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "clean failed")
    assert "disk on fire" in node.last_error
    assert node.maintenance
    assert node.fault == "clean failure"
    assert node.power_state == "power off"
    assert node.target_provision_state == "available"


def test_a_running_command_is_waited_for_and_not_started_twice(scene: Any, agent: Any) -> None:
    agent.hold = True
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda node: (
            node.clean_step.get("step") == "erase_devices_metadata"
            and node.provision_state == "clean wait"
        ),
    )
    for _ in range(3):
        scene.call_back(node_id, agent)
        scene.until(node_id, lambda node: node.provision_state == "clean wait")
    assert agent.names().count("clean.execute_clean_step") == 1
    agent.hold = False
    agent.finish()
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")


def test_no_thread_is_held_while_a_node_waits(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    assert scene.process._workers._pending == 0
    assert scene.get(node_id).lease_owner is None
    assert scene.get(node_id).deadline is not None


def test_an_abort_of_waiting_cleaning_ends_it(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    scene.provision(node_id, "abort")
    node = scene.until_state(node_id, "clean failed")
    assert "Aborted by the operator" in node.last_error
    assert not node.maintenance
    with scene.store.read() as session:
        assert [op.state for op in session.query(Operation)] == ["aborted"]


def test_an_abort_of_a_step_that_must_not_be_broken_off_waits_for_its_end(
    scene: Any, agent: Any
) -> None:
    agent.hold = True
    node_id = to_clean_wait(scene)
    scene.call_back(node_id, agent)
    scene.until(
        node_id,
        lambda node: (
            node.clean_step.get("step") == "erase_devices_metadata"
            and node.provision_state == "clean wait"
        ),
    )
    assert "abort_after" not in scene.get(node_id).clean_step
    scene.provision(node_id, "abort")
    node = scene.until(node_id, lambda node: node.clean_step.get("abort_after") is True)
    assert node.provision_state == "clean wait"
    agent.finish()
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "clean failed")
    assert agent.names().count("clean.execute_clean_step") == 1


def deploy(scene: Any, image_server: Any, **info: Any) -> int:
    scene.start(**FILES, retry_seconds=0.01)
    instance = {"image_source": image_server.url + "/image.raw", "image_checksum": SHA, **info}
    node_id = scene.machine("available", name="web-1", instance_info=instance)
    scene.provision(
        node_id,
        "active",
        configdrive={"meta_data": {"hostname": "web-1.example"}, "user_data": "#cloud-config\n"},
    )
    return int(node_id)


def test_a_deployment_ends_with_the_machine_on_its_own_disk(
    scene: Any, agent: Any, image_server: Any
) -> None:
    node_id = deploy(scene, image_server)
    scene.until_state(node_id, "wait call-back")
    agent.on_power_off = lambda: scene.process.box.drivers.make(
        scene.process.box, type(scene_driver(scene, node_id).power)
    ).send(scene.get(node_id), "off")
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    assert spec_of(scene, node_id) is None
    assert scene_driver(scene, node_id).management.boot_device(node) == ("disk", True)
    params = dict(agent.received)["deploy.execute_deploy_step"]
    info = params["step"]["args"]["image_info"]
    assert info["urls"] == [image_server.url + "/image.raw"]
    assert info["checksum"] == SHA
    files = read_iso(gzip.decompress(base64.b64decode(params["step"]["args"]["configdrive"])))
    assert b'"hostname": "web-1.example"' in files["meta_data.json"]
    assert files["user_data"] == b"#cloud-config\n"
    assert params["node"]["instance_info"]["configdrive"] == "******"
    assert [state for _, state in steps_of(scene)] == ["done"] * 7


def test_an_agent_that_is_gone_before_it_could_answer_does_not_hold_up_the_deployment(
    scene: Any, agent: Any, image_server: Any
) -> None:
    node_id = deploy(scene, image_server)
    scene.until_state(node_id, "wait call-back")
    power = scene_driver(scene, node_id).power
    over = threading.Event()

    def go_silently() -> None:
        power.send(scene.get(node_id), "off")
        over.wait(2 * PATIENCE)

    agent.on_power_off = go_silently
    begun = time.monotonic()
    scene.call_back(node_id, agent)
    try:
        scene.until_state(node_id, "active")
        assert time.monotonic() - begun < AT_ONCE
    finally:
        over.set()


def scene_driver(scene: Any, node_id: int) -> Any:
    from conductor.drivers.registry import Driver

    return Driver(scene.process.box, scene.get(node_id))


def read_iso(data: bytes) -> dict[str, bytes]:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(data))
    files = {}
    for name in ("meta_data.json", "user_data"):
        out = io.BytesIO()
        iso.get_file_from_iso_fp(out, rr_path=f"/openstack/latest/{name}")
        files[name] = out.getvalue()
    assert iso.pvd.volume_identifier.strip() == b"config-2"
    iso.close()
    return files


def test_what_the_agent_says_of_a_failed_write_reaches_the_operator(
    scene: Any, agent: Any, image_server: Any
) -> None:
    agent.error = "the image's sha256 is 1111, not 0000"
    node_id = deploy(scene, image_server)
    scene.until_state(node_id, "wait call-back")
    scene.call_back(node_id, agent)
    node = scene.until_state(node_id, "deploy failed")
    assert "sha256 is 1111" in node.last_error
    assert node.power_state == "power off"
    assert node.instance_info["image_checksum"] == SHA
    assert spec_of(scene, node_id) is None


@pytest.mark.parametrize(
    ("path", "words"), [("/missing.raw", "HTTP 404"), (None, "cannot be reached")]
)
def test_an_image_that_is_not_there_fails_before_the_machine_is_touched(
    scene: Any, image_server: Any, path: str | None, words: str
) -> None:
    source = image_server.url + path if path else "http://127.0.0.1:9/x.raw"
    node_id = deploy(scene, image_server, image_source=source)
    node = scene.until_state(node_id, "deploy failed")
    assert words in node.last_error
    assert source in node.last_error
    assert scene.netboot.prepared == []


def test_an_image_server_that_is_being_restarted_is_waited_for(
    scene: Any, image_server: Any
) -> None:
    image_server.busy = 2
    node_id = deploy(scene, image_server)
    scene.until_state(node_id, "wait call-back")
    assert image_server.busy == 0


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"image_source": None}, "image_source is missing"),
        ({"image_source": "file:///etc/passwd"}, "not an http"),
        ({"image_checksum": None}, "a checksum is missing"),
        ({"image_checksum": "xyz"}, "neither an md5"),
        ({"image_checksum": None, "image_os_hash_algo": "sha256"}, "go together"),
        ({"kernel": "http://x/k"}, "partition images"),
        ({"image_type": "partition"}, "partition images"),
    ],
)
def test_an_image_that_is_not_described_is_refused_at_once(
    scene: Any, image_server: Any, info: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        deploy(scene, image_server, **info)
    with scene.store.read() as session:
        (node,) = session.query(Node)
    assert node.provision_state == "available"
    assert node.lease_owner is None
    assert "configdrive" not in node.instance_info


def test_an_image_that_says_it_is_a_whole_disk_is_taken(scene: Any, image_server: Any) -> None:
    node_id = deploy(scene, image_server, image_type="whole-disk")
    scene.until_state(node_id, "wait call-back")


def test_a_machine_that_never_calls_back_is_failed_at_its_deadline(
    scene: Any, image_server: Any
) -> None:
    node_id = deploy(scene, image_server)
    scene.until_state(node_id, "wait call-back")
    with scene.store.write() as session:
        node = session.get_one(Node, node_id)
        node.deadline = scene.store.clock.now().replace(year=2020)
    scene.process.periodic.sweep()
    node = scene.until_state(node_id, "deploy failed")
    assert "Timed out" in node.last_error
    assert "never called back" in node.last_error
    assert node.power_state == "power off"


def test_a_node_does_not_go_to_wait_when_its_agent_was_heard_meanwhile(scene: Any) -> None:
    node_id = to_clean_wait(scene)
    task = Task.resume(scene.process.box, node_id, "test")
    assert task is not None
    task.agent()
    with scene.store.write() as session:
        session.get_one(Agent, node_id).beats += 1
    assert not task.wait()
    assert scene.get(node_id).lease_purpose == "test"
    task.agent()
    assert task.wait()
    assert scene.get(node_id).lease_owner is None


def test_inspection_by_the_ramdisk_records_what_was_found(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    callback = "http://127.0.0.1:6385/v1/continue_inspection"
    assert f"ipa-inspection-callback-url={callback}" in spec_of(scene, node_id).parameters
    with scene.store.write() as session:
        session.add(
            Inventory(
                node_id=node_id,
                inventory={
                    "cpu": {"count": 2, "architecture": "x86_64"},
                    "boot": {"current_boot_mode": "uefi", "pxe_interface": "52:54:00:00:00:02"},
                },
                plugin_data={},
                created_at=scene.store.clock.now(),
            )
        )
    scene.bus.cast("conductor", "inspected", node_id=node_id)
    node = scene.until_state(node_id, "manageable")
    assert node.properties["cpu_arch"] == "x86_64"
    assert node.boot_mode == "uefi"
    assert node.power_state == "power off"
    with scene.store.read() as session:
        assert boots.by_mac(session, "52:54:00:00:00:02") is not None


def test_deleting_a_waiting_deployment_ends_it_and_cleans(
    scene: Any, agent: Any, image_server: Any
) -> None:
    node_id = deploy(scene, image_server)
    scene.until_state(node_id, "wait call-back")
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "clean wait")
    assert node.instance_info == {}
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "available")
    with scene.store.read() as session:
        states = [op.state for op in session.query(Operation).order_by(Operation.id)]
    assert states == ["aborted", "done"]
