"""The command ``baremetal`` for all that is not a node: made, changed, listed, deleted."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.api.cli import WAIT, Baremetal, Complaint

RESET = {"interface": "bios", "step": "factory_reset", "args": {}}


@pytest.fixture
def baremetal(noauth) -> Baremetal:
    return Baremetal(noauth.environment)


@pytest.fixture
def node(baremetal: Baremetal, request: pytest.FixtureRequest) -> Iterator[str]:
    """The UUID of a new node; it goes, with all that is on it."""
    name = "cli-" + request.node.originalname.removeprefix("test_").replace("_", "-")
    uuid = baremetal(f"node create --driver fake-hardware --name {name}")["uuid"]
    yield uuid
    baremetal(f"node maintenance set {uuid}")
    baremetal(f"node delete {uuid}")


def text(value: Any) -> str:
    return shlex.quote(json.dumps(value))


def test_ports(baremetal, node) -> None:
    port = baremetal(
        f"port create --node {node} 52:54:00:C3:00:01 --name cli-port --extra a=b "
        "--local-link-connection switch_id=0a:1b:2c:3d:4e:5f "
        "--local-link-connection port_id=Ethernet1/2 "
        "--pxe-enabled true --physical-network net1 --description x --vendor v --category c"
    )
    uuid = port["uuid"]
    assert (port["address"], port["physical_network"]) == ("52:54:00:c3:00:01", "net1")
    assert port["local_link_connection"]["port_id"] == "Ethernet1/2"
    baremetal(f"port set {uuid} --pxe-disabled --extra c=d --address 52:54:00:c3:00:02")
    baremetal(f"port unset {uuid} --extra a --physical-network --description --vendor --category")
    shown = baremetal("port show cli-port")
    assert (shown["extra"], shown["pxe_enabled"]) == ({"c": "d"}, False)
    assert (shown["physical_network"], shown["vendor"]) == (None, None)
    assert baremetal("port show --address 52:54:00:c3:00:02 --fields uuid") == {"uuid": uuid}
    (row,) = baremetal(f"port list --node {node} --long")
    assert (row["uuid"], row["name"]) == (uuid, "cli-port")
    assert baremetal("port list --address 52:54:00:c3:00:02 --fields uuid") == [{"uuid": uuid}]
    with pytest.raises(Complaint, match="52:54:00:c3:00:02"):
        baremetal(f"port create --node {node} 52:54:00:c3:00:02")
    baremetal(f"port unset {uuid} --name --local-link-connection port_id")
    baremetal(f"port delete {uuid}")
    assert baremetal(f"port list --node {node}") == []


def test_port_groups(baremetal, node) -> None:
    group = baremetal(
        f"port group create --node {node} --name cli-bond --address 52:54:00:c4:00:01 "
        "--mode 802.3ad --property miimon=100 --extra a=b --unsupport-standalone-ports"
    )
    assert (group["mode"], group["properties"]) == ("802.3ad", {"miimon": 100})
    assert group["standalone_ports_supported"] is False
    member = baremetal(f"port create --node {node} 52:54:00:c4:00:02 --port-group {group['uuid']}")
    assert baremetal("port list --port-group cli-bond --fields uuid") == [{"uuid": member["uuid"]}]
    with pytest.raises(Complaint):
        baremetal("port group delete cli-bond")
    baremetal(f"port unset {member['uuid']} --port-group")
    baremetal("port group set cli-bond --mode active-backup --support-standalone-ports")
    baremetal("port group unset cli-bond --address --extra a --property miimon")
    shown = baremetal("port group show cli-bond")
    assert (shown["address"], shown["properties"], shown["extra"]) == (None, {}, {})
    (row,) = baremetal(f"port group list --node {node} --long")
    assert (row["name"], row["mode"]) == ("cli-bond", "active-backup")
    baremetal("port group delete cli-bond")
    assert baremetal(f"port group list --node {node}") == []


def test_chassis(baremetal, node) -> None:
    chassis = baremetal("chassis create --description 'row 3' --extra a=b")["uuid"]
    baremetal(f"chassis set {chassis} --description 'row 4' --extra c=d")
    baremetal(f"chassis unset {chassis} --extra a")
    shown = baremetal(f"chassis show {chassis}")
    assert (shown["description"], shown["extra"]) == ("row 4", {"c": "d"})
    assert {"uuid": chassis, "description": "row 4"} in baremetal("chassis list")
    long = {row["uuid"]: row["extra"] for row in baremetal("chassis list --long")}
    assert long[chassis] == {"c": "d"}
    baremetal(f"node set {node} --chassis-uuid {chassis}")
    assert baremetal(f"node list --chassis {chassis} --fields uuid") == [{"uuid": node}]
    with pytest.raises(Complaint):
        baremetal(f"chassis delete {chassis}")
    baremetal(f"node unset {node} --chassis-uuid")
    baremetal(f"chassis unset {chassis} --description")
    baremetal(f"chassis delete {chassis}")


def test_volume_connectors(baremetal, node) -> None:
    baremetal(f"node power off {node}")
    made = baremetal(
        f"volume connector create --node {node} --type iqn --connector-id iqn.2026-01.a:b "
        "--extra a=b"
    )
    uuid = made["uuid"]
    baremetal(f"volume connector set {uuid} --connector-id iqn.2026-01.a:c --extra c=d")
    baremetal(f"volume connector unset {uuid} --extra a")
    shown = baremetal(f"volume connector show {uuid}")
    assert (shown["connector_id"], shown["extra"]) == ("iqn.2026-01.a:c", {"c": "d"})
    (row,) = baremetal(f"volume connector list --node {node} --long")
    assert (row["uuid"], row["type"]) == (uuid, "iqn")
    baremetal(f"volume connector delete {uuid}")
    assert baremetal(f"volume connector list --node {node}") == []


def test_volume_targets(baremetal, node) -> None:
    baremetal(f"node power off {node}")
    made = baremetal(
        f"volume target create --node {node} --type iscsi --volume-id v1 --boot-index 0 "
        "--property target_iqn=iqn.2004-05.x:a --property auth_password=hunter2 --extra a=b"
    )
    uuid = made["uuid"]
    assert made["properties"] == {"target_iqn": "iqn.2004-05.x:a", "auth_password": "******"}
    baremetal(f"volume target set {uuid} --volume-id v2 --boot-index 1 --extra c=d")
    baremetal(f"volume target unset {uuid} --extra a --property target_iqn")
    shown = baremetal(f"volume target show {uuid}")
    assert (shown["volume_id"], shown["boot_index"]) == ("v2", 1)
    assert shown["properties"] == {"auth_password": "******"}
    (row,) = baremetal(f"volume target list --node {node} --long")
    assert (row["uuid"], row["volume_id"]) == (uuid, "v2")
    baremetal(f"volume target delete {uuid}")
    assert baremetal(f"volume target list --node {node}") == []


def test_deploy_templates(baremetal) -> None:
    step = {**RESET, "priority": 50}
    made = baremetal(f"deploy template create CUSTOM_CLI_A --steps {text([step])} --extra a=b")
    assert made["steps"] == [step]
    steps = [{**step, "priority": 60}]
    baremetal(f"deploy template set CUSTOM_CLI_A --name CUSTOM_CLI_B --steps {text(steps)}")
    baremetal("deploy template unset CUSTOM_CLI_B --extra a")
    shown = baremetal("deploy template show CUSTOM_CLI_B")
    assert (shown["uuid"], shown["extra"]) == (made["uuid"], {})
    assert shown["steps"] == steps
    names = {row["name"]: row for row in baremetal("deploy template list --long")}
    assert names["CUSTOM_CLI_B"]["uuid"] == made["uuid"]
    with pytest.raises(Complaint):
        baremetal(f"deploy template create CUSTOM_CLI_B --steps {text(steps)}")
    baremetal("deploy template delete CUSTOM_CLI_B")
    assert "CUSTOM_CLI_B" not in [row["name"] for row in baremetal("deploy template list")]


def test_runbooks(baremetal, node) -> None:
    step = {**RESET, "order": 1}
    made = baremetal(
        f"runbook create --name CUSTOM_CLI_BOOK --steps {text([step])} --description x "
        "--owner me --extra a=b"
    )
    assert (made["steps"], made["public"], made["owner"]) == ([step], False, "me")
    baremetal("runbook trait add CUSTOM_CLI_BOOK CUSTOM_CLI_R1 CUSTOM_CLI_R2")
    baremetal("runbook trait remove CUSTOM_CLI_BOOK CUSTOM_CLI_R2")
    assert [row["traits"] for row in baremetal("runbook trait list CUSTOM_CLI_BOOK")] == [
        "CUSTOM_CLI_R1"
    ]
    baremetal(f"node manage {node} {WAIT}")
    with pytest.raises(Complaint):
        baremetal(f"node clean {node} --runbook CUSTOM_CLI_BOOK")
    baremetal(f"node trait add {node} CUSTOM_CLI_R1")
    baremetal(f"node clean {node} --runbook CUSTOM_CLI_BOOK {WAIT}")
    baremetal("runbook set CUSTOM_CLI_BOOK --public true --description y --disable-ramdisk true")
    baremetal("runbook unset CUSTOM_CLI_BOOK --extra a --owner --description --disable-ramdisk")
    shown = baremetal("runbook show CUSTOM_CLI_BOOK")
    assert (shown["public"], shown["owner"], shown["extra"]) == (True, None, {})
    names = [row["name"] for row in baremetal("runbook list --long")]
    assert "CUSTOM_CLI_BOOK" in names
    baremetal("runbook delete CUSTOM_CLI_BOOK")
    assert "CUSTOM_CLI_BOOK" not in [row["name"] for row in baremetal("runbook list")]


def test_inspection_rules(baremetal) -> None:
    actions = [{"op": "set-attribute", "args": {"path": "/extra/cli", "value": "ruled"}}]
    conditions = [{"op": "eq", "args": {"values": ["{node.name}", "nobody"]}}]
    made = baremetal(
        f"inspection rule create --description x --priority 7 --phase main "
        f"--conditions {text(conditions)} --actions {text(actions)}"
    )
    uuid = made["uuid"]
    assert (made["priority"], made["phase"], made["sensitive"]) == (7, "main", False)
    assert made["actions"][0]["op"] == "set-attribute"
    baremetal(f"inspection rule set {uuid} --description y --priority 8")
    assert baremetal(f"inspection rule show {uuid}")["priority"] == 8
    baremetal(f"inspection rule unset {uuid} --description --priority")
    shown = baremetal(f"inspection rule show {uuid}")
    assert (shown["description"], shown["priority"]) == (None, 0)
    listed = {row["uuid"]: row for row in baremetal("inspection rule list --long")}
    assert listed[uuid]["phase"] == "main"
    baremetal(f"inspection rule delete {uuid}")
    assert uuid not in [row["uuid"] for row in baremetal("inspection rule list")]


def test_allocations(baremetal, node) -> None:
    baremetal(f"node set {node} --resource-class cli-gold")
    baremetal(f"node trait add {node} CUSTOM_CLI_FAST")
    baremetal(f"node manage {node} {WAIT}")
    baremetal(f"node provide {node} {WAIT}")
    made = baremetal(
        "allocation create --resource-class cli-gold --trait CUSTOM_CLI_FAST --name cli-alloc "
        f"--candidate-node {node} --extra a=b {WAIT}"
    )
    assert (made["state"], made["node_uuid"]) == ("active", node)
    shown = baremetal(f"node show {node} --fields allocation_uuid instance_uuid")
    assert shown == {"allocation_uuid": made["uuid"], "instance_uuid": made["uuid"]}
    with pytest.raises(Complaint):
        baremetal(f"allocation create --resource-class cli-gold {WAIT}")
    baremetal("allocation set cli-alloc --name cli-other --extra c=d")
    baremetal("allocation unset cli-other --extra a")
    assert baremetal("allocation show cli-other")["extra"] == {"c": "d"}
    (row,) = baremetal(f"allocation list --node {node} --state active --long")
    assert (row["uuid"], row["resource_class"]) == (made["uuid"], "cli-gold")
    baremetal("allocation unset cli-other --name")
    for row in baremetal("allocation list --resource-class cli-gold --fields uuid"):
        baremetal(f"allocation delete {row['uuid']}")
    assert baremetal("allocation list --resource-class cli-gold") == []
    shown = baremetal(f"node show {node} --fields allocation_uuid instance_uuid")
    assert shown == {"allocation_uuid": None, "instance_uuid": None}
