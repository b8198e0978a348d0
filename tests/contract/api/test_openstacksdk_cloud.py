"""openstacksdk's cloud layer, which Ansible's modules use: machines, not nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack import exceptions

from tests.contract.api.hasty import hurry
from tests.contract.api.service import Service
from tests.patience import PATIENCE

pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.LegacyAPIWarning"),
]
MAC = "52:54:00:d9:00:01"
hurry()


@pytest.fixture(scope="module")
def cloud(service: Service) -> Iterator[Any]:
    with openstack.connect(load_yaml_config=False, load_envvars=False, **service.cloud) as made:
        yield made


@pytest.fixture
def machine(cloud) -> Iterator[str]:
    made = cloud.register_machine(
        [{"address": MAC}], wait=True, timeout=PATIENCE, driver="fake-hardware", name="sdk-machine"
    )
    assert made.provision_state == "available"
    yield made.id
    if cloud.get_machine(made.id) is not None:
        cloud.set_machine_maintenance_state(made.id)
        cloud.unregister_machine([MAC], made.id)


def test_a_machine_is_registered_found_and_unregistered(cloud, machine) -> None:
    assert machine in [one.id for one in cloud.list_machines()]
    assert cloud.get_machine("sdk-machine").id == machine
    assert cloud.get_machine_by_mac(MAC).id == machine
    assert cloud.get_nic_by_mac(MAC).node_id == machine
    assert [nic.address for nic in cloud.list_nics_for_machine(machine)] == [MAC]
    assert MAC in [nic.address for nic in cloud.list_nics()]
    cloud.unregister_machine([MAC], machine)
    assert cloud.get_machine(machine) is None
    assert cloud.get_nic_by_mac(MAC) is None


def test_a_machine_is_inspected_from_available(cloud, machine) -> None:
    assert (
        cloud.inspect_machine(machine, wait=True, timeout=PATIENCE).provision_state == "available"
    )


def test_a_machine_is_changed(cloud, machine) -> None:
    patched = cloud.patch_machine(machine, [{"op": "add", "path": "/extra/a", "value": 1}])
    assert patched.extra == {"a": 1}
    changed = cloud.update_machine(machine, extra={"b": 2})
    assert (changed["node"].extra, bool(changed["changes"])) == ({"b": 2}, True)
    assert cloud.update_machine(machine)["changes"] is None
    patch = [{"op": "add", "path": "/instance_info/image_source", "value": "http://x.example/i"}]
    assert "image_source" in cloud.set_node_instance_info(machine, patch).instance_info
    assert cloud.purge_node_instance_info(machine).instance_info == {}


def test_a_machine_is_activated_and_deactivated(cloud, machine) -> None:
    cloud.validate_machine(machine)
    cloud.activate_node(machine, wait=True, timeout=PATIENCE)
    assert cloud.get_machine(machine).provision_state == "active"
    cloud.set_machine_power_off(machine)
    cloud.wait_for_baremetal_node_lock(cloud.get_machine(machine))
    cloud.set_machine_power_on(machine)
    cloud.wait_for_baremetal_node_lock(cloud.get_machine(machine))
    cloud.set_machine_power_reboot(machine)
    cloud.wait_for_baremetal_node_lock(cloud.get_machine(machine))
    assert cloud.get_machine(machine).power_state == "power on"
    cloud.deactivate_node(machine, wait=True, timeout=PATIENCE)
    assert cloud.node_set_provision_state(machine, "manage", wait=True).provision_state == (
        "manageable"
    )


def test_maintenance(cloud, machine) -> None:
    cloud.set_machine_maintenance_state(machine, True, reason="fan")
    assert cloud.get_machine(machine).maintenance_reason == "fan"
    cloud.remove_machine_from_maintenance(machine)
    assert cloud.get_machine(machine).is_maintenance is False


def test_a_machine_whose_nic_is_known_is_not_kept(cloud, machine) -> None:
    with pytest.raises(exceptions.ConflictException, match=MAC):
        cloud.register_machine([MAC], driver="fake-hardware", name="sdk-second")
    assert cloud.get_machine("sdk-second") is None
