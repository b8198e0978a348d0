"""Boot resources in a boot spec: all of one boot are named in one snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from drophammer.model import BootSpecRow

IMAGE = "resource:///ubuntu/amd64/generic/xenial/daily"
PINNED = "resource:///snapshot-20260101-000000/ubuntu/amd64/generic/xenial/daily"
FILES = {"deploy_kernel": f"{IMAGE}/boot-kernel", "deploy_ramdisk": f"{IMAGE}/boot-initrd"}
INSTANCE = {
    "kernel": f"{IMAGE}/boot-kernel",
    "ramdisk": f"{IMAGE}/boot-initrd",
    "root_image": f"{IMAGE}/squashfs",
}


def booted(scene: Any, node_id: int) -> tuple[str, str, str | None]:
    with scene.store.read() as session:
        row = session.get_one(BootSpecRow, node_id)
        return row.kernel, row.ramdisk, row.root


def set_fields(scene: Any, node_id: int, **fields: Any) -> None:
    with scene.store.write() as session:
        node = session.get_one(type(scene.get(node_id)), node_id)
        for name, value in fields.items():
            setattr(node, name, value)


def test_kernel_ramdisk_and_root_of_an_instance_are_pinned_together(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("available", instance_info=INSTANCE)
    set_fields(scene, node_id, deploy_interface="ramdisk")
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    assert booted(scene, node_id) == (
        f"{PINNED}/boot-kernel",
        f"{PINNED}/boot-initrd",
        f"{PINNED}/squashfs",
    )
    assert scene.netboot.pinned == [list(INSTANCE.values())]


def test_the_deploy_ramdisk_is_pinned_too(scene: Any) -> None:
    scene.start(**FILES)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    assert booted(scene, node_id) == (f"{PINNED}/boot-kernel", f"{PINNED}/boot-initrd", None)


def test_only_the_boot_resources_among_the_files_are_pinned(scene: Any) -> None:
    scene.start(deploy_kernel="http://127.0.0.1/k", deploy_ramdisk=FILES["deploy_ramdisk"])
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    assert booted(scene, node_id) == ("http://127.0.0.1/k", f"{PINNED}/boot-initrd", None)
    assert scene.netboot.pinned == [[FILES["deploy_ramdisk"]]]


def test_without_boot_resources_netboot_is_not_asked(scene: Any) -> None:
    scene.start(deploy_kernel="http://127.0.0.1/k", deploy_ramdisk="http://127.0.0.1/r")
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    scene.until_state(node_id, "inspect wait")
    assert scene.netboot.pinned == []


@pytest.mark.parametrize("root", ["http://127.0.0.1/squashfs", "resource:///../squashfs", "${x}"])
def test_a_root_file_system_that_is_no_boot_resource_is_refused(scene: Any, root: str) -> None:
    scene.start(**FILES)
    node_id = scene.machine("available", instance_info={**INSTANCE, "root_image": root})
    set_fields(scene, node_id, deploy_interface="ramdisk")
    with pytest.raises(Exception, match="instance_info root_image"):
        scene.provision(node_id, "active")
    assert scene.get(node_id).provision_state == "available"
