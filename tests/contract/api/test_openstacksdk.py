"""openstacksdk against our API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack import exceptions

# The library warns itself of what it will change in itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


@pytest.fixture
def baremetal(endpoint: str) -> Iterator[Any]:
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="none",
        auth={"endpoint": endpoint},
        baremetal_endpoint_override=endpoint,
    )
    yield connection.baremetal
    connection.close()


def test_the_newest_version_is_negotiated(baremetal) -> None:
    data = baremetal.get_endpoint_data()
    assert (data.min_microversion, data.max_microversion) == ((1, 1), (1, 115))


def test_a_node_is_created_changed_listed_and_deleted(baremetal) -> None:
    node = baremetal.create_node(driver="fake-hardware", name="rack-1", extra={"a": 1})
    assert node.provision_state == "enroll"
    assert baremetal.update_node(node, instance_name="web").instance_name == "web"
    patched = baremetal.patch_node(node, [{"op": "add", "path": "/extra/b", "value": 2}])
    assert patched.extra == {"a": 1, "b": 2}
    assert baremetal.get_node("rack-1", fields=["uuid"]).id == node.id
    assert [found.name for found in baremetal.nodes(details=True)] == ["rack-1"]
    assert [found.id for found in baremetal.nodes(provision_state="enroll")] == [node.id]
    baremetal.delete_node(node)
    with pytest.raises(exceptions.NotFoundException, match="could not be found"):
        baremetal.get_node("rack-1")


def test_a_node_may_be_created_available(baremetal) -> None:
    node = baremetal.create_node(driver="fake-hardware", provision_state="available")
    assert node.provision_state == "available"


def test_lists_are_followed_from_page_to_page(baremetal) -> None:
    for number in range(5):
        baremetal.create_node(driver="fake-hardware", name=f"n{number}")
    assert [node.name for node in baremetal.nodes(limit=2)] == [f"n{n}" for n in range(5)]


def test_verbs_power_and_maintenance_are_accepted(baremetal, conductor) -> None:
    node = baremetal.create_node(driver="fake-hardware")
    baremetal.set_node_provision_state(node, "manage")
    assert conductor.provisions.get(timeout=5) == "manage"
    baremetal.set_node_power_state(node, "power on")
    assert conductor.powers.get(timeout=5) == "power on"
    assert baremetal.set_node_maintenance(node, reason="fan").maintenance_reason == "fan"
    assert not baremetal.unset_node_maintenance(node).is_maintenance
    assert baremetal.validate_node(node)["power"].result


def test_a_verb_in_the_wrong_state_is_told(baremetal) -> None:
    node = baremetal.create_node(driver="fake-hardware")
    with pytest.raises(exceptions.BadRequestException, match=r'"provide".*"enroll"'):
        baremetal.set_node_provision_state(node, "provide")


def test_ports_are_created_changed_and_deleted(baremetal) -> None:
    node = baremetal.create_node(driver="fake-hardware")
    port = baremetal.create_port(node_id=node.id, address="52:54:00:12:34:56")
    assert baremetal.update_port(port, is_pxe_enabled=False).is_pxe_enabled is False
    assert [found.id for found in baremetal.ports(address="52:54:00:12:34:56")] == [port.id]
    assert [found.id for found in baremetal.ports(details=True, node=node.id)] == [port.id]
    baremetal.delete_port(port)
    assert list(baremetal.ports()) == []


def test_drivers_and_conductors_are_listed(baremetal) -> None:
    assert [driver.name for driver in baremetal.drivers()] == ["fake-hardware"]
    assert baremetal.get_driver("fake-hardware").default_power_interface == "fake"
    (conductor,) = baremetal.conductors()
    assert (conductor.hostname, conductor.alive) == ("conductor-1", True)
