"""What a node is told and asked by the command ``baremetal``, without moving it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

import pytest

from tests.contract.api.cli import Baremetal, Complaint
from tests.contract.api.service import HOST


@pytest.fixture
def baremetal(noauth) -> Baremetal:
    return Baremetal(noauth.environment)


@pytest.fixture
def create(baremetal: Baremetal) -> Iterator[Callable[..., str]]:
    """Make nodes; they go in the end."""
    made: list[str] = []

    def node(name: str, more: str = "") -> str:
        told = baremetal(f"node create --driver fake-hardware --name {name} {more}")
        made.append(told["uuid"])
        return str(told["uuid"])

    yield node
    for uuid in reversed(made):
        baremetal(f"node maintenance set {uuid}")
        baremetal(f"node delete {uuid}")


def test_everything_that_can_be_said_at_creation_is_shown(baremetal, create) -> None:
    uuid = create(
        "cli-full",
        "--resource-class big --conductor-group '' --automated-clean --owner me --lessee you "
        "--description 'on the left' --shard s1 --driver-info ipmi_password=hunter2 "
        "--property cpus=4 --extra rack=7 --instance-name web --disable-power-off "
        "--network-interface noop --storage-interface noop",
    )
    shown = baremetal("node show cli-full")
    assert shown["uuid"] == uuid
    assert shown["driver_info"] == {"ipmi_password": "******"}
    assert (shown["properties"], shown["extra"]) == ({"cpus": 4}, {"rack": 7})
    assert (shown["owner"], shown["lessee"], shown["shard"]) == ("me", "you", "s1")
    assert (shown["network_interface"], shown["storage_interface"]) == ("noop", "noop")
    assert (shown["description"], shown["automated_clean"]) == ("on the left", True)
    assert (shown["instance_name"], shown["disable_power_off"]) == ("web", True)
    assert {"name": "s1", "count": 1} in baremetal("shard list")


def test_what_is_set_is_unset_again(baremetal, create) -> None:
    uuid = create("cli-set")
    instance = "11111111-aaaa-4bbb-8ccc-222222222222"
    baremetal(
        f"node set {uuid} --name cli-renamed --resource-class small --instance-uuid {instance} "
        "--instance-name db --description x --owner me --lessee you --shard s2 --retired "
        "--retired-reason old --no-automated-clean --extra a=b --property c=d --driver-info e=f "
        "--instance-info g=h --network-interface noop --disable-power-off"
    )
    shown = baremetal("node show cli-renamed")
    assert (shown["retired"], shown["retired_reason"]) == (True, "old")
    assert (shown["instance_uuid"], shown["automated_clean"]) == (instance, False)
    assert baremetal(f"node show --instance {instance}")["uuid"] == uuid
    baremetal(
        f"node unset {uuid} --resource-class --instance-uuid --instance-name --description "
        "--owner --lessee --shard --retired --retired-reason --automated-clean --extra a "
        "--property c --driver-info e --instance-info g --network-interface --name"
    )
    shown = baremetal(f"node show {uuid}")
    gone = ("name", "resource_class", "instance_uuid", "instance_name", "description", "owner")
    gone += ("lessee", "shard", "retired_reason", "automated_clean")
    assert [name for name in gone if shown[name] is not None] == []
    assert (shown["retired"], shown["extra"], shown["properties"]) == (False, {}, {})
    baremetal(f"node set {uuid} --enable-power-off --name cli-set")


def test_interfaces_are_reset_with_the_driver(baremetal, create) -> None:
    uuid = create("cli-interfaces", "--deploy-interface fake --power-interface fake")
    with pytest.raises(Complaint, match="interface"):
        baremetal(f"node set {uuid} --driver ipmi")
    baremetal(f"node set {uuid} --driver ipmi --reset-interfaces")
    shown = baremetal(f"node show {uuid} --fields driver power_interface")
    assert shown == {"driver": "ipmi", "power_interface": "ipmitool"}
    baremetal(f"node set {uuid} --driver fake-hardware --reset-interfaces")
    baremetal(f"node set {uuid} --bios-interface no-bios")
    baremetal(f"node set {uuid} --reset-bios-interface")


def test_nodes_are_found_by_what_they_are(baremetal, create) -> None:
    one = create("cli-find-1", "--owner finder --resource-class gold --description 'in the attic'")
    two = create("cli-find-2", "--owner finder --shard s3")
    baremetal(f"node maintenance set {two} --reason fan")

    def found(options: str) -> list[str]:
        return [row["uuid"] for row in baremetal(f"node list --owner finder {options}")]

    assert found("--sort name:desc") == [two, one]
    assert found("--limit 1 --sort name") == [one]
    assert found(f"--marker {one} --sort name") == [two]
    assert found("--maintenance") == [two]
    assert found("--no-maintenance") == [one]
    assert found("--resource-class gold") == [one]
    assert found("--description-contains attic") == [one]
    assert found("--provision-state enroll --driver fake-hardware --sort name") == [one, two]
    assert found("--sharded") == found("--shards s3 s4") == [two]
    assert found("--unsharded") == [one]
    assert found("--unassociated --no-retired --sort name") == [one, two]
    assert found("--associated") == found("--retired") == found("--fault 'power failure'") == []
    assert found(f"--conductor {HOST} --sort name") == [one, two]
    assert found("--instance-name nobody") == found("--lessee nobody") == []
    (row,) = baremetal("node list --owner finder --maintenance --long")
    assert (row["uuid"], row["maintenance_reason"]) == (two, "fan")
    rows = baremetal("node list --owner finder --fields uuid name traits --sort name")
    assert [(row["name"], row["traits"]) for row in rows] == [
        ("cli-find-1", []),
        ("cli-find-2", []),
    ]


def test_maintenance(baremetal, create) -> None:
    uuid = create("cli-maintenance")
    baremetal(f"node maintenance set {uuid} --reason 'broken fan'")
    shown = baremetal(f"node show {uuid} --fields maintenance maintenance_reason")
    assert shown == {"maintenance": True, "maintenance_reason": "broken fan"}
    baremetal(f"node maintenance unset {uuid}")
    shown = baremetal(f"node show {uuid} --fields maintenance maintenance_reason")
    assert shown == {"maintenance": False, "maintenance_reason": None}


def test_traits(baremetal, create) -> None:
    uuid = create("cli-traits")
    baremetal(f"node trait add {uuid} CUSTOM_FAST HW_CPU_X86_VMX")
    listed = [row["traits"] for row in baremetal(f"node trait list {uuid}")]
    assert sorted(listed) == ["CUSTOM_FAST", "HW_CPU_X86_VMX"]
    baremetal(f"node trait remove {uuid} CUSTOM_FAST")
    assert baremetal(f"node show {uuid} --fields traits")["traits"] == ["HW_CPU_X86_VMX"]
    baremetal(f"node trait remove {uuid} --all")
    assert baremetal(f"node trait list {uuid}") == []
    with pytest.raises(Complaint, match="fast"):
        baremetal(f"node trait add {uuid} fast")


def test_virtual_interfaces(baremetal, create) -> None:
    uuid = create("cli-vifs", "--network-interface flat")
    port = baremetal(f"port create --node {uuid} 52:54:00:c2:00:01")["uuid"]
    vif = "33333333-aaaa-4bbb-8ccc-444444444444"
    baremetal(f"node vif attach {uuid} {vif} --port-uuid {port}")
    assert baremetal(f"node vif list {uuid}") == [{"id": vif}]
    with pytest.raises(Complaint):
        baremetal(f"node vif attach {uuid} {vif} --port-uuid {port}")
    baremetal(f"node vif detach {uuid} {vif}")
    assert baremetal(f"node vif list {uuid}") == []


def test_children(baremetal, create) -> None:
    parent = create("cli-parent")
    child = create("cli-child", f"--parent-node {parent}")
    assert baremetal(f"node children list {parent}")["children"] == [child]
    listed = [row["uuid"] for row in baremetal("node list --fields uuid")]
    assert (parent in listed, child in listed) == (True, False)
    every = baremetal("node list --include-children --fields uuid")
    assert {"uuid": child} in every
    assert baremetal(f"node list --parent-node {parent} --fields uuid") == [{"uuid": child}]
    baremetal(f"node unset {child} --parent-node")


def test_interfaces_are_validated_one_by_one(baremetal, create) -> None:
    uuid = create("cli-validate")
    told = {row["interface"]: row["result"] for row in baremetal(f"node validate {uuid}")}
    assert len(told) == 12
    assert (told["power"], told["management"]) == (True, True)


def test_a_node_that_is_protected_stays(baremetal, create) -> None:
    uuid = create("cli-protected")
    with pytest.raises(Complaint, match="protected"):
        baremetal(f"node set {uuid} --protected --protected-reason {shlex.quote('mine, all')}")


def test_drivers(baremetal) -> None:
    (fake,) = (row for row in baremetal("driver list") if "fake-hardware" in row.values())
    assert HOST in fake["hosts"]
    detailed = baremetal("driver list --long --type dynamic")
    assert len(detailed) >= 2
    assert baremetal("driver show fake-hardware")["default_power_interface"] == "fake"
    names = [row["property"] for row in baremetal("driver property list ipmi")]
    assert "ipmi_address" in names
    disks = [row["property"] for row in baremetal("driver raid property list fake-hardware")]
    assert {"size_gb", "raid_level"} <= set(disks)
    methods = [row["name"] for row in baremetal("driver passthru list fake-hardware")]
    assert {"echo", "ignore"} <= set(methods)
    # Of a method that answers something the client itself cannot show the answer.
    assert baremetal("driver passthru call fake-hardware ignore --arg a=b") == {}


def test_conductors(baremetal) -> None:
    (row,) = baremetal("conductor list")
    assert (row["hostname"], row["alive"]) == (HOST, True)
    (long,) = baremetal("conductor list --long")
    assert "fake-hardware" in long["drivers"]
    shown = baremetal(f"conductor show {HOST}")
    assert (shown["hostname"], shown["alive"]) == (HOST, True)
