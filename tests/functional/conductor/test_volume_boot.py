"""Machines whose system is on a remote volume."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer.errors import DrophammerError, Invalid
from drophammer.model import BootSpecRow, VolumeConnector, VolumeTarget, new_uuid

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
DISK = {"target_portal": "172.22.0.9:3260", "target_iqn": "iqn.2004-05.com.example:disk"}


def machine(scene: Any, state: str = "available", **fields: Any) -> int:
    scene.start(**FILES)
    node_id: int = scene.machine(state, storage_interface="external", **fields)
    return node_id


def target(scene: Any, node_id: int, properties: dict[str, Any] = DISK, **fields: Any) -> None:
    values = {"volume_type": "iscsi", "volume_id": "1", "boot_index": 0, **fields}
    with scene.store.write() as session:
        session.add(
            VolumeTarget(
                uuid=new_uuid(),
                node_id=node_id,
                properties=properties,
                created_at=scene.store.clock.now(),
                **values,
            )
        )


def spec(scene: Any, node_id: int) -> Any:
    with scene.store.read() as session:
        return session.get(BootSpecRow, node_id)


def test_it_boots_from_its_volume_and_nothing_is_written(scene: Any) -> None:
    node_id = machine(scene)
    target(scene, node_id)
    scene.provision(node_id, "active")
    node = scene.until_state(node_id, "active")
    assert node.power_state == "power on"
    booted = spec(scene, node_id)
    assert (booted.loader, booted.purpose, booted.kernel) == ("san", "instance", "")
    assert scene.netboot.prepared == [node_id]
    device = scene.bus.call("conductor", "get_boot_device", node_id=node_id)
    assert device == {"boot_device": "pxe", "persistent": True}


def test_it_boots_from_it_no_more_when_the_instance_is_deleted(scene: Any) -> None:
    node_id = machine(scene, automated_clean=False)
    target(scene, node_id)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    scene.provision(node_id, "deleted")
    node = scene.until_state(node_id, "available")
    assert spec(scene, node_id) is None
    assert node.power_state == "power off"


def test_an_adopted_machine_boots_from_its_volume_from_then_on(scene: Any) -> None:
    node_id = machine(scene, "manageable", power_state="power on")
    target(scene, node_id)
    scene.provision(node_id, "adopt")
    scene.until_state(node_id, "active")
    assert spec(scene, node_id).loader == "san"


def test_a_volume_that_is_not_booted_changes_nothing(scene: Any, image_server: Any) -> None:
    image = {"image_source": f"{image_server.url}/image.raw", "image_checksum": "0" * 64}
    node_id = machine(scene, instance_info=image)
    target(scene, node_id, boot_index=1)
    scene.provision(node_id, "active")
    scene.until_state(node_id, "wait call-back")
    assert spec(scene, node_id).loader == "ipxe"


@pytest.mark.parametrize(
    ("properties", "fields", "said"),
    [
        ({}, {}, "target_portal is not an address"),
        ({**DISK, "target_portal": "a b:1"}, {}, "target_portal is not an address"),
        ({**DISK, "target_portal": "h:99999"}, {}, "target_portal is not an address"),
        ({**DISK, "target_portal": "[zz]:1"}, {}, "target_portal is not an address"),
        ({**DISK, "target_portal": "[1:2]:1"}, {}, "no IPv6 address in its brackets"),
        ({**DISK, "target_iqn": "iqn.2004-05.com.example:a\nboot"}, {}, "not an iSCSI name"),
        ({**DISK, "target_iqn": "iqn.2004-05.com.example:${x}"}, {}, "not an iSCSI name"),
        ({**DISK, "target_lun": "1;reboot"}, {}, "target_lun is not a number"),
        ({**DISK, "target_lun": True}, {}, "target_lun is not a number"),
        ({**DISK, "auth_method": "NTLM"}, {}, "neither CHAP nor left out"),
        ({**DISK, "auth_method": "CHAP", "auth_username": "u"}, {}, "auth_password is missing"),
        (DISK, {"volume_type": "fibre_channel"}, "only iscsi is booted"),
    ],
)
def test_what_cannot_be_booted_is_refused_before_anything_happens(
    scene: Any, properties: dict[str, Any], fields: dict[str, Any], said: str
) -> None:
    node_id = machine(scene)
    target(scene, node_id, properties, **fields)
    verdict = scene.bus.call("conductor", "validate", node_id=node_id)["storage"]
    assert verdict["result"] is False
    assert said in verdict["reason"]
    with pytest.raises(Invalid, match="Volume target"):
        scene.provision(node_id, "active")
    assert scene.get(node_id).provision_state == "available"


def test_two_initiator_names_are_one_too_many(scene: Any) -> None:
    node_id = machine(scene)
    target(scene, node_id)
    with scene.store.write() as session:
        for name in ("a", "b"):
            session.add(
                VolumeConnector(
                    uuid=new_uuid(),
                    node_id=node_id,
                    type="iqn",
                    connector_id=f"iqn.2004-05.com.example:{name}",
                    created_at=scene.store.clock.now(),
                )
            )
    with pytest.raises(Invalid, match="2 volume connectors of type iqn"):
        scene.provision(node_id, "active")


def test_a_boot_interface_that_cannot_is_named(scene: Any) -> None:
    node_id = machine(scene)
    with scene.store.write() as session:
        session.get_one(type(scene.get(node_id)), node_id).boot_interface = "pxe"
    target(scene, node_id)
    with pytest.raises(DrophammerError, match=r"booting from a volume .boot interface 'pxe'"):
        scene.provision(node_id, "active")


def test_steps_in_a_ramdisk_are_refused(scene: Any) -> None:
    node_id = machine(scene)
    target(scene, node_id)
    step = {"interface": "deploy", "step": "erase_devices", "args": {}, "priority": 70}
    with pytest.raises(Invalid, match="no ramdisk in which deploy_steps could run"):
        scene.provision(node_id, "active", deploy_steps=[step])
