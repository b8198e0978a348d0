"""openstacksdk's proxy for bare metal: what it does with nodes, drivers and conductors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack import exceptions
from openstack.baremetal.v1 import _proxy

from tests.contract.api.hasty import hurry
from tests.contract.api.service import HOST
from tests.patience import PATIENCE

# The library warns itself of what it will change in itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]
IMAGE = {"image_source": "http://x.example/i", "image_checksum": "0" * 32}
RESET = {"interface": "bios", "step": "factory_reset"}
hurry()


@pytest.fixture
def baremetal(service, connect) -> Any:
    return connect(service)


@pytest.fixture
def create(baremetal, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make nodes; they go in the end, whatever they are doing then."""
    made: list[Any] = []

    def node(**attributes: Any) -> Any:
        made.append(baremetal.create_node(driver="fake-hardware", **attributes))
        return made[-1]

    yield node
    for one in reversed(made):
        if baremetal.find_node(one.id) is not None:
            baremetal.set_node_maintenance(one)
            baremetal.delete_node(one)


def move(baremetal: Any, node: Any, *verbs: str) -> Any:
    for verb in verbs:
        node = baremetal.set_node_provision_state(node, verb, wait=True, timeout=PATIENCE)
    return node


def settle(baremetal: Any, node: Any) -> Any:
    """The node when nobody holds it any more; the wait begins with what is already known."""
    return baremetal.wait_for_node_reservation(baremetal.get_node(node.id), timeout=PATIENCE)


def test_every_method_is_tried() -> None:
    methods = {
        name
        for name, method in vars(_proxy.Proxy).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_openstacksdk*.py")]
    assert methods - set(re.findall(r"baremetal\.(\w+)\(", "".join(sources))) == set()


def test_the_newest_version_is_negotiated(baremetal) -> None:
    data = baremetal.get_endpoint_data()
    assert (data.min_microversion, data.max_microversion) == ((1, 1), (1, 115))


def test_a_node_is_created_changed_listed_and_deleted(baremetal, create) -> None:
    node = create(name="sdk-1", extra={"a": 1}, resource_class="sdk-listed")
    assert (node.provision_state, node.is_maintenance) == ("enroll", False)
    assert baremetal.update_node(node, instance_name="web").instance_name == "web"
    patched = baremetal.patch_node(node, [{"op": "add", "path": "/extra/b", "value": 2}])
    assert patched.extra == {"a": 1, "b": 2}
    assert baremetal.get_node("sdk-1", fields=["uuid"]).id == node.id
    assert baremetal.find_node("sdk-1").id == node.id
    detailed = baremetal.nodes(details=True, resource_class="sdk-listed")
    assert [one.name for one in detailed] == ["sdk-1"]
    listed = baremetal.nodes(resource_class="sdk-listed", provision_state="enroll")
    assert [one.id for one in listed] == [node.id]
    baremetal.delete_node(node)
    baremetal.wait_for_delete(node)
    with pytest.raises(exceptions.NotFoundException, match="could not be found"):
        baremetal.get_node("sdk-1")


def test_a_node_may_be_created_available(create) -> None:
    assert create(provision_state="available").provision_state == "available"


def test_lists_are_followed_from_page_to_page(baremetal, create) -> None:
    names = [f"sdk-page-{number}" for number in range(5)]
    for name in names:
        create(name=name, resource_class="sdk-pages")
    assert [node.name for node in baremetal.nodes(limit=2, resource_class="sdk-pages")] == names


def test_a_node_lives(baremetal, create) -> None:
    node = move(baremetal, create(), "manage", "inspect", "provide")
    baremetal.update_node(node, instance_info=IMAGE)
    drive = {"meta_data": {"name": "x"}}
    baremetal.set_node_provision_state(
        node, "active", config_drive=drive, deploy_steps=[{**RESET, "priority": 5, "args": {}}]
    )
    (node,) = baremetal.wait_for_nodes_provision_state([node], "active", timeout=PATIENCE)
    assert node.instance_info["configdrive"] == "******"
    baremetal.set_node_provision_state(
        node, "rescue", rescue_password="s3cr3t", wait=True, timeout=PATIENCE
    )
    baremetal.set_node_provision_state(node, "unrescue")
    (node,) = baremetal.wait_for_nodes_provision_state([node], "active", timeout=PATIENCE)
    node = move(baremetal, node, "rebuild", "deleted")
    assert (node.provision_state, node.instance_info) == ("available", {})
    node = move(baremetal, node, "manage")
    baremetal.set_node_provision_state(node, "clean", clean_steps=[RESET])
    node = baremetal.get_node(node.id)
    baremetal.wait_for_status(node, "manageable", wait=20, attribute="provision_state")
    settle(baremetal, node)
    assert move(baremetal, node, "adopt").provision_state == "active"


def test_an_inventory_is_read(baremetal, create) -> None:
    node = create()
    with pytest.raises(exceptions.NotFoundException):
        baremetal.get_node_inventory(node)
    node = move(baremetal, node, "manage", "inspect")
    assert baremetal.get_node_inventory(node)["inventory"]["cpu"]["count"] == 2


def test_a_verb_in_the_wrong_state_is_told(baremetal, create) -> None:
    with pytest.raises(exceptions.BadRequestException, match=r'"provide".*"enroll"'):
        baremetal.set_node_provision_state(create(), "provide")


def test_power(baremetal, create) -> None:
    node = create()
    baremetal.set_node_power_state(node, "power on", wait=True, timeout=PATIENCE)
    baremetal.set_node_power_state(node, "soft power off", timeout=PATIENCE)
    node = baremetal.wait_for_node_power_state(node, "power off", timeout=PATIENCE)
    assert node.power_state == "power off"
    baremetal.set_node_power_state(node, "rebooting", wait=True, timeout=PATIENCE)
    assert baremetal.get_node(node).power_state == "power on"


def test_maintenance_and_validation(baremetal, create) -> None:
    node = create()
    assert baremetal.set_node_maintenance(node, reason="fan").maintenance_reason == "fan"
    assert not baremetal.unset_node_maintenance(node).is_maintenance
    told = baremetal.validate_node(node)
    assert (told["power"].result, told["deploy"].result) == (True, True)


def test_devices(baremetal, create) -> None:
    node = create()
    baremetal.set_node_boot_device(node, "disk", persistent=True)
    assert baremetal.get_node_boot_device(node) == {"boot_device": "disk", "persistent": True}
    supported = baremetal.get_node_supported_boot_devices(node)
    assert {"pxe", "disk"} <= set(supported["supported_boot_devices"])
    baremetal.set_node_boot_mode(node, "uefi")
    baremetal.wait_for_status(node, "uefi", wait=20, attribute="boot_mode")
    baremetal.set_node_secure_boot(node, True)
    settle(baremetal, node)
    assert baremetal.get_node(node.id).is_secure_boot is True
    baremetal.inject_nmi_to_node(node)
    assert baremetal.list_node_firmware(node) == {"firmware": []}


def test_the_console(baremetal, create) -> None:
    node = create(console_interface="fake")
    assert baremetal.get_node_console(node)["console_enabled"] is False
    baremetal.enable_node_console(node)
    settle(baremetal, node)
    told = baremetal.get_node_console(node)
    assert (told["console_enabled"], told["console_info"]["type"]) == (True, "fake")
    baremetal.disable_node_console(node)
    settle(baremetal, node)
    assert baremetal.get_node_console(node)["console_enabled"] is False


def test_traits(baremetal, create) -> None:
    node = create()
    baremetal.set_node_traits(node, ["CUSTOM_A", "CUSTOM_B"])
    baremetal.add_node_trait(node, "HW_CPU_X86_VMX")
    assert baremetal.remove_node_trait(node, "CUSTOM_A") is True
    assert sorted(baremetal.get_node(node.id).traits) == ["CUSTOM_B", "HW_CPU_X86_VMX"]
    with pytest.raises(exceptions.NotFoundException, match="CUSTOM_A"):
        baremetal.remove_node_trait(node, "CUSTOM_A")


def test_vendor_methods(baremetal, create) -> None:
    node = create(vendor_interface="fake")
    assert "echo" in baremetal.list_node_vendor_passthru(node)
    told = baremetal.call_node_vendor_passthru(node, "PUT", "echo", {"a": 1}).json()
    assert told["arguments"] == {"a": 1}
    assert "echo" in baremetal.list_driver_vendor_passthru("fake-hardware")
    told = baremetal.call_driver_vendor_passthru("fake-hardware", "POST", "echo", {"a": 2})
    assert told.json()["arguments"] == {"a": 2}


def test_virtual_media_and_interfaces(baremetal, create) -> None:
    node = create(network_interface="flat")
    baremetal.attach_vmedia_to_node(node, "cdrom", "http://x.example/c.iso")
    settle(baremetal, node)
    baremetal.detach_vmedia_from_node(node, ["cdrom"])
    settle(baremetal, node)
    port = baremetal.create_port(node_id=node.id, address="52:54:00:d1:00:01")
    vif = "55555555-aaaa-4bbb-8ccc-666666666666"
    baremetal.attach_vif_to_node(node, vif, port=port)
    assert baremetal.list_node_vifs(node) == [vif]
    assert baremetal.get_port(port.id).internal_info == {"tenant_vif_port_id": vif}
    assert baremetal.detach_vif_from_node(node, vif) is True
    assert baremetal.list_node_vifs(node) == []


def test_drivers_and_conductors(baremetal) -> None:
    assert "fake-hardware" in [driver.name for driver in baremetal.drivers()]
    detailed = {driver.name: driver for driver in baremetal.drivers(details=True)}
    assert detailed["fake-hardware"].hosts == [HOST]
    assert baremetal.get_driver("fake-hardware").default_power_interface == "fake"
    (conductor,) = baremetal.conductors(details=True)
    assert (conductor.hostname, conductor.alive) == (HOST, True)
    assert "fake-hardware" in baremetal.get_conductor(HOST).drivers
