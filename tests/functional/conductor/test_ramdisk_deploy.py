"""Instances that boot from the network, and deploy interfaces that leave the disk to others."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer.errors import Invalid
from drophammer.model import BootSpecRow

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
INSTANCE = {"kernel": "http://127.0.0.1/vmlinuz", "ramdisk": "http://127.0.0.1/initrd"}


def machine(scene: Any, deploy: str, instance_info: dict[str, Any]) -> int:
    scene.start(**FILES)
    node_id: int = scene.machine("available", instance_info=instance_info)
    set_field(scene, node_id, deploy_interface=deploy)
    return node_id


def set_field(scene: Any, node_id: int, **fields: Any) -> None:
    with scene.store.write() as session:
        node = session.get_one(type(scene.get(node_id)), node_id)
        for name, value in fields.items():
            setattr(node, name, value)


def switch_off(scene: Any, node_id: int) -> None:
    """As the machine does that its agent shuts down."""
    box = scene.process.box
    box.drivers.default(box, "fake-hardware", "power").send(scene.get(node_id), "off")


def spec(scene: Any, node_id: int) -> Any:
    with scene.store.read() as session:
        return session.get(BootSpecRow, node_id)


@pytest.mark.parametrize("deploy", ["ramdisk", "autodetect"])
def test_kernel_and_ramdisk_are_what_the_machine_boots_each_time(scene: Any, deploy: str) -> None:
    node_id = machine(scene, deploy, INSTANCE)
    scene.provision(node_id, "active")
    node = scene.until_state(node_id, "active")
    assert node.deploy_interface == deploy
    assert node.power_state == "power on"
    booted = spec(scene, node_id)
    assert (booted.kernel, booted.ramdisk) == (INSTANCE["kernel"], INSTANCE["ramdisk"])
    assert booted.purpose == "instance"
    assert not any(one.startswith("ipa-") for one in booted.parameters)
    device = scene.bus.call("conductor", "get_boot_device", node_id=node_id)
    assert device == {"boot_device": "pxe", "persistent": True}


def test_the_machine_boots_it_no_more_when_the_instance_is_deleted(scene: Any) -> None:
    node_id = machine(scene, "ramdisk", INSTANCE)
    set_field(scene, node_id, automated_clean=False)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "available")
    assert spec(scene, node_id) is None
    assert node.power_state == "power off"


def test_its_boot_files_are_not_taken_for_our_ramdisk_when_a_rebuild_fails(scene: Any) -> None:
    node_id = machine(scene, "ramdisk", INSTANCE)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    scene.netboot.away = 0
    set_field(scene, node_id, driver_info={"fake_fault": {"power": "gone"}})
    scene.provision(node_id, "rebuild")
    node = scene.until_state(node_id, "deploy failed")
    assert node.power_state == "power on"
    assert spec(scene, node_id).purpose == "instance"


def test_an_adopted_machine_boots_its_instance_from_then_on(scene: Any) -> None:
    node_id = machine(scene, "ramdisk", INSTANCE)
    set_field(scene, node_id, provision_state="manageable", power_state="power on")
    scene.provision(node_id, "adopt")
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    assert spec(scene, node_id).kernel == INSTANCE["kernel"]


@pytest.mark.parametrize(
    ("instance_info", "said"),
    [
        ({}, "kernel and ramdisk missing"),
        ({"kernel": "http://127.0.0.1/k"}, "instance_info: ramdisk missing"),
        ({**INSTANCE, "kernel": "tftp://127.0.0.1/k"}, "kernel: 'tftp://127.0.0.1/k' is not"),
        ({"boot_iso": "http://127.0.0.1/live.iso"}, "boot_iso needs virtual media"),
    ],
)
def test_what_cannot_be_booted_is_refused_before_anything_happens(
    scene: Any, instance_info: dict[str, Any], said: str
) -> None:
    node_id = machine(scene, "ramdisk", instance_info)
    verdict = scene.bus.call("conductor", "validate", node_id=node_id)
    assert verdict["deploy"]["result"] is False
    assert said in verdict["deploy"]["reason"]
    with pytest.raises(Invalid, match="Cannot deploy node"):
        scene.provision(node_id, "active")
    assert scene.get(node_id).provision_state == "available"


def test_autodetect_without_kernel_and_ramdisk_deploys_the_image(
    scene: Any, agent: Any, image_server: Any
) -> None:
    image = {"image_source": f"{image_server.url}/image.raw", "image_checksum": "0" * 64}
    node_id = machine(scene, "autodetect", image)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "wait call-back")
    assert spec(scene, node_id).kernel == FILES["deploy_kernel"]
    agent.on_power_off = lambda: switch_off(scene, node_id)
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "active")
    assert "deploy.execute_deploy_step" in agent.names()


def test_a_custom_agent_needs_no_image_and_writes_none(scene: Any, agent: Any) -> None:
    node_id = machine(scene, "custom-agent", {})
    scene.provision(node_id, "active")
    scene.until_state(node_id, "wait call-back")
    agent.on_power_off = lambda: switch_off(scene, node_id)
    scene.call_back(node_id, agent)
    scene.until_state(node_id, "active")
    assert "deploy.execute_deploy_step" not in agent.names()
    device = scene.bus.call("conductor", "get_boot_device", node_id=node_id)
    assert device == {"boot_device": "disk", "persistent": True}
