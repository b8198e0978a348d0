"""openstacksdk's proxy for bare metal: all that is not a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack import exceptions

from tests.contract.api.hasty import hurry
from tests.patience import PATIENCE

pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]
STEP = {"interface": "bios", "step": "factory_reset", "args": {}}
hurry()


@pytest.fixture
def baremetal(service, connect) -> Any:
    return connect(service)


@pytest.fixture
def node(baremetal) -> Iterator[Any]:
    made = baremetal.create_node(driver="fake-hardware")
    yield made
    baremetal.set_node_maintenance(made)
    baremetal.delete_node(made)


def extra_b() -> list[dict[str, Any]]:
    return [{"op": "add", "path": "/extra/b", "value": 2}]


def gone(find: Callable[[str], Any], one: Any) -> None:
    """Asking for it afterwards is a 404."""
    with pytest.raises(exceptions.NotFoundException):
        find(one.id)


def test_chassis(baremetal) -> None:
    made = baremetal.create_chassis(description="row 1", extra={"a": 1})
    assert made.id in [one.id for one in baremetal.chassis()]
    assert made.id in [one.id for one in baremetal.chassis(details=True)]
    assert baremetal.find_chassis(made.id).description == "row 1"
    assert baremetal.update_chassis(made, description="row 2").description == "row 2"
    assert baremetal.patch_chassis(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_chassis(made.id, fields=["extra"]).description is None
    baremetal.delete_chassis(made)
    gone(baremetal.get_chassis, made)


def test_ports(baremetal, node) -> None:
    made = baremetal.create_port(node_id=node.id, address="52:54:00:d2:00:01", extra={"a": 1})
    assert [one.id for one in baremetal.ports(address=made.address)] == [made.id]
    assert [one.id for one in baremetal.ports(details=True, node=node.id)] == [made.id]
    assert baremetal.find_port(made.id).address == made.address
    assert baremetal.update_port(made, is_pxe_enabled=False).is_pxe_enabled is False
    assert baremetal.patch_port(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_port(made.id, fields=["uuid"]).address is None
    with pytest.raises(exceptions.ConflictException):
        baremetal.create_port(node_id=node.id, address=made.address)
    baremetal.delete_port(made)
    gone(baremetal.get_port, made)


def test_port_groups(baremetal, node) -> None:
    made = baremetal.create_port_group(node_id=node.id, name="sdk-bond", extra={"a": 1})
    assert [one.id for one in baremetal.port_groups(node=node.id)] == [made.id]
    assert made.id in [one.id for one in baremetal.port_groups(details=True)]
    assert baremetal.find_port_group("sdk-bond").id == made.id
    assert baremetal.update_port_group(made, mode="802.3ad").mode == "802.3ad"
    assert baremetal.patch_port_group(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_port_group("sdk-bond").mode == "802.3ad"
    baremetal.delete_port_group(made)
    gone(baremetal.get_port_group, made)


def test_volume_connectors(baremetal, node) -> None:
    baremetal.set_node_power_state(node, "power off", wait=True, timeout=PATIENCE)
    made = baremetal.create_volume_connector(
        node_id=node.id, type="iqn", connector_id="iqn.2026-01.sdk:a", extra={"a": 1}
    )
    assert [one.id for one in baremetal.volume_connectors(node=node.id)] == [made.id]
    assert made.id in [one.id for one in baremetal.volume_connectors(details=True)]
    assert baremetal.find_volume_connector(made.id).type == "iqn"
    changed = baremetal.update_volume_connector(made, connector_id="iqn.2026-01.sdk:b")
    assert changed.connector_id == "iqn.2026-01.sdk:b"
    assert baremetal.patch_volume_connector(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_volume_connector(made.id).node_id == node.id
    baremetal.delete_volume_connector(made)
    gone(baremetal.get_volume_connector, made)


def test_volume_targets(baremetal, node) -> None:
    baremetal.set_node_power_state(node, "power off", wait=True, timeout=PATIENCE)
    made = baremetal.create_volume_target(
        node_id=node.id,
        volume_type="iscsi",
        volume_id="v1",
        boot_index=0,
        properties={"auth_password": "secret"},
        extra={"a": 1},
    )
    assert made.properties == {"auth_password": "******"}
    assert [one.id for one in baremetal.volume_targets(node=node.id)] == [made.id]
    assert made.id in [one.id for one in baremetal.volume_targets(details=True)]
    assert baremetal.find_volume_target(made.id).volume_id == "v1"
    assert baremetal.update_volume_target(made, volume_id="v2").volume_id == "v2"
    assert baremetal.patch_volume_target(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_volume_target(made.id).node_id == node.id
    baremetal.delete_volume_target(made)
    gone(baremetal.get_volume_target, made)


def test_allocations(baremetal, node) -> None:
    baremetal.update_node(node, resource_class="sdk-gold")
    for verb in ("manage", "provide"):
        baremetal.set_node_provision_state(node, verb, wait=True, timeout=PATIENCE)
    made = baremetal.create_allocation(resource_class="sdk-gold", name="sdk-a", extra={"a": 1})
    assert made.state == "allocating"
    made = baremetal.wait_for_allocation(made, timeout=PATIENCE)
    assert (made.state, made.node_id) == ("active", node.id)
    assert [one.id for one in baremetal.allocations(resource_class="sdk-gold")] == [made.id]
    assert baremetal.update_allocation(made, name="sdk-b").name == "sdk-b"
    assert baremetal.patch_allocation(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_allocation("sdk-b").id == made.id
    assert baremetal.get_node(node.id).allocation_id == made.id
    baremetal.delete_allocation(made)
    gone(baremetal.get_allocation, made)
    assert baremetal.get_node(node.id).instance_id is None


def test_deploy_templates(baremetal) -> None:
    steps = [{**STEP, "priority": 5}]
    made = baremetal.create_deploy_template(name="CUSTOM_SDK_A", steps=steps, extra={"a": 1})
    assert made.steps == steps
    assert made.id in [one.id for one in baremetal.deploy_templates(details=True)]
    assert baremetal.find_deploy_template("CUSTOM_SDK_A").id == made.id
    changed = baremetal.update_deploy_template(made, name="CUSTOM_SDK_B")
    assert changed.name == "CUSTOM_SDK_B"
    assert baremetal.patch_deploy_template(made, extra_b()).extra == {"a": 1, "b": 2}
    assert baremetal.get_deploy_template("CUSTOM_SDK_B").id == made.id
    baremetal.delete_deploy_template(made)
    gone(baremetal.get_deploy_template, made)


def test_runbooks(baremetal) -> None:
    steps = [{**STEP, "order": 1}]
    made = baremetal.create_runbook(name="CUSTOM_SDK_BOOK", steps=steps, extra={"a": 1})
    assert (made.steps, made.public) == (steps, False)
    assert made.id in [one.id for one in baremetal.runbooks(details=True)]
    assert baremetal.update_runbook(made, description="x").description == "x"
    assert baremetal.patch_runbook(made, extra_b()).extra == {"a": 1, "b": 2}
    baremetal.set_runbook_traits(made, ["CUSTOM_A", "CUSTOM_B"])
    baremetal.add_runbook_trait(made, "CUSTOM_C")
    baremetal.remove_runbook_trait(made, "CUSTOM_A")
    assert sorted(baremetal.get_runbook("CUSTOM_SDK_BOOK").traits) == ["CUSTOM_B", "CUSTOM_C"]
    baremetal.delete_runbook(made)
    gone(baremetal.get_runbook, made)


def test_inspection_rules(baremetal) -> None:
    actions = [{"op": "set-attribute", "args": {"path": "/extra/x", "value": 1}}]
    made = baremetal.create_inspection_rule(actions=actions, description="x", priority=5)
    assert (made.priority, made.phase) == (5, "main")
    assert made.id in [one.id for one in baremetal.inspection_rules(details=True)]
    assert baremetal.update_inspection_rule(made, description="y").description == "y"
    patch = [{"op": "replace", "path": "/priority", "value": 6}]
    assert baremetal.patch_inspection_rule(made, patch).priority == 6
    assert baremetal.get_inspection_rule(made.id).actions[0]["op"] == "set-attribute"
    baremetal.delete_inspection_rule(made)
    gone(baremetal.get_inspection_rule, made)
