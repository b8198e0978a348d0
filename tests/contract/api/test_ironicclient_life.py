"""The life of a node, driven by the command ``baremetal``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.contract.api.cli import WAIT, Baremetal, Complaint
from tests.contract.api.service import USER
from tests.patience import until as until_true

KINDS = "bios boot console deploy firmware inspect management power raid rescue vendor"
FAKE = " ".join(f"--{kind}-interface fake" for kind in KINDS.split())
HOLD = {"interface": "deploy", "step": "hold"}
RESET = {"interface": "bios", "step": "factory_reset"}
IMAGE = "--instance-info image_source=http://x.example/i --instance-info image_checksum=" + "0" * 32


@pytest.fixture
def baremetal(service) -> Baremetal:
    return Baremetal(service.environment)


@pytest.fixture
def node(baremetal: Baremetal, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a new node; it goes whatever has become of it."""
    name = "cli-" + request.node.originalname.removeprefix("test_").replace("_", "-")
    baremetal(f"node create --driver fake-hardware --name {name} {FAKE}")
    yield name
    baremetal(f"node maintenance set {name}")
    baremetal(f"node delete {name}")


@pytest.fixture
def active(baremetal: Baremetal, node: str) -> str:
    baremetal(f"node manage {node} {WAIT}")
    baremetal(f"node provide {node} {WAIT}")
    baremetal(f"node set {node} {IMAGE}")
    baremetal(f"node deploy {node} {WAIT}")
    return node


def steps(*wanted: dict[str, Any]) -> str:
    return shlex.quote(json.dumps(wanted))


def state(baremetal: Baremetal, node: str) -> Any:
    return baremetal(f"node show {node} --fields provision_state")["provision_state"]


def until(baremetal: Baremetal, node: str, wanted: str) -> None:
    """The commands without --wait return before the work is done."""
    now = partial(state, baremetal, node)
    until_true(lambda: now() == wanted, now)


def test_from_enrolment_to_deletion(baremetal, active) -> None:
    assert state(baremetal, active) == "active"
    baremetal(f"node rebuild {active} {WAIT}")
    baremetal(f"node rescue {active} --rescue-password s3cr3t {WAIT}")
    assert state(baremetal, active) == "rescue"
    baremetal(f"node unrescue {active} {WAIT}")
    baremetal(f"node service {active} --service-steps {steps(RESET)} {WAIT}")
    baremetal(f"node undeploy {active} {WAIT}")
    assert state(baremetal, active) == "available"
    baremetal(f"node manage {active} {WAIT}")
    baremetal(f"node clean {active} --clean-steps {steps(RESET)} {WAIT}")
    baremetal(f"node adopt {active} {WAIT}")
    assert state(baremetal, active) == "active"


def test_a_protected_system_stays(baremetal, active) -> None:
    baremetal(f"node set {active} --protected --protected-reason 'the only one'")
    for command in ("node undeploy", "node rebuild"):
        with pytest.raises(Complaint, match="protected"):
            baremetal(f"{command} {active}")
    with pytest.raises(Complaint, match="protected"):
        baremetal(f"node delete {active}")
    baremetal(f"node unset {active} --protected --protected-reason")
    shown = baremetal(f"node show {active} --fields protected protected_reason")
    assert shown == {"protected": False, "protected_reason": None}


def test_a_retired_node_ends_manageable(baremetal, active) -> None:
    baremetal(f"node set {active} --retired --retired-reason old")
    baremetal(f"node undeploy {active}")
    until(baremetal, active, "manageable")
    with pytest.raises(Complaint, match="retired"):
        baremetal(f"node provide {active}")


def test_a_config_drive_and_deploy_steps_are_passed_on(baremetal, node) -> None:
    baremetal(f"node manage {node} {WAIT}")
    baremetal(f"node provide {node} {WAIT}")
    baremetal(f"node set {node} {IMAGE}")
    drive = shlex.quote(json.dumps({"meta_data": {"name": "x"}}))
    step = {**RESET, "priority": 50, "args": {}}
    baremetal(f"node deploy {node} --config-drive {drive} --deploy-steps {steps(step)} {WAIT}")
    told = baremetal(f"node show {node} --fields instance_info")["instance_info"]
    assert told["configdrive"] == "******"


def test_inspection_leaves_an_inventory(baremetal, node, tmp_path) -> None:
    baremetal(f"node manage {node} {WAIT}")
    with pytest.raises(Complaint, match="inventory"):
        baremetal(f"node inventory save {node}")
    baremetal(f"node inspect {node} {WAIT}")
    printed = json.loads(baremetal(f"node inventory save {node}"))
    baremetal(f"node inventory save {node} --file {tmp_path}/saved.json")
    assert json.loads((tmp_path / "saved.json").read_text()) == printed
    assert printed["inventory"]["cpu"]["architecture"] == "x86_64"


def test_held_cleaning_goes_on_or_is_aborted(baremetal, node) -> None:
    baremetal(f"node manage {node} {WAIT}")
    baremetal(f"node clean {node} --clean-steps {steps(HOLD, RESET)}")
    until(baremetal, node, "clean hold")
    baremetal(f"node unhold {node}")
    until(baremetal, node, "manageable")
    baremetal(f"node clean {node} --clean-steps {steps(HOLD, RESET)}")
    until(baremetal, node, "clean hold")
    baremetal(f"node abort {node}")
    until(baremetal, node, "clean failed")
    assert "abort" in baremetal(f"node show {node} --fields last_error")["last_error"].lower()
    baremetal(f"node manage {node} {WAIT}")


def test_steps_that_nobody_offers_are_refused(baremetal, node) -> None:
    baremetal(f"node manage {node} {WAIT}")
    unknown = {"interface": "bios", "step": "polish"}
    with pytest.raises(Complaint, match="polish"):
        baremetal(f"node clean {node} --clean-steps {steps(unknown)}")
    with pytest.raises(Complaint):
        baremetal(f"node clean {node} --clean-steps {steps()}")


def test_power(baremetal, node) -> None:
    def power() -> Any:
        told = baremetal(f"node show {node} --fields power_state target_power_state")
        return None if told["target_power_state"] else told["power_state"]

    for command, expected in (
        ("node power on {}", "power on"),
        ("node power off --soft --power-timeout 30 {}", "power off"),
        ("node power on {}", "power on"),
        ("node reboot {}", "power on"),
        ("node reboot --soft {}", "power on"),
        ("node power off {}", "power off"),
    ):
        baremetal(command.format(node))
        until_true(lambda expected=expected: power() == expected, power)


def test_devices(baremetal, node) -> None:
    baremetal(f"node boot device set {node} disk --persistent")
    assert baremetal(f"node boot device show {node}") == {
        "boot_device": "disk",
        "persistent": True,
    }
    supported = baremetal(f"node boot device show {node} --supported")
    assert "pxe" in supported["supported_boot_devices"]
    baremetal(f"node boot mode set {node} uefi")
    seen(baremetal, node, "boot_mode", "uefi")
    baremetal(f"node secure boot on {node}")
    seen(baremetal, node, "secure_boot", True)
    baremetal(f"node secure boot off {node}")
    seen(baremetal, node, "secure_boot", False)
    baremetal(f"node inject nmi {node}")


def test_the_console(baremetal, node) -> None:
    assert baremetal(f"node console show {node}")["console_enabled"] is False
    baremetal(f"node console enable {node}")
    seen(baremetal, node, "console_enabled", True)
    assert baremetal(f"node console show {node}")["console_info"]["type"] == "fake"
    baremetal(f"node console disable {node}")
    seen(baremetal, node, "console_enabled", False)


def seen(baremetal: Baremetal, node: str, field: str, value: Any) -> None:
    """What is changed behind the answer is soon to be seen."""
    until_true(lambda: baremetal(f"node show {node} --fields {field}")[field] == value)


def test_vendor_methods(baremetal, node) -> None:
    methods = {row["name"]: row for row in baremetal(f"node passthru list {node}")}
    assert methods["third_method_sync"]["async"] is False
    assert "POST" in methods["first_method"]["supported_http_methods"]
    baremetal(f"node passthru call {node} second_method --arg bar=kazoo")
    with pytest.raises(Complaint, match="bar"):
        baremetal(f"node passthru call {node} first_method --arg bar=wrong")
    told = baremetal(f"node passthru call {node} echo --arg a=b")
    assert "'a': 'b'" in told


def test_bios_and_firmware(baremetal, node) -> None:
    baremetal(f"node manage {node} {WAIT}")
    settings = baremetal(f"node bios setting list {node}")
    assert "ProcVirtualization" in [row["name"] for row in settings]
    detailed = baremetal(f"node bios setting list {node} --long")
    assert {row["attribute_type"] for row in detailed} >= {"Enumeration", "Integer"}
    chosen = baremetal(f"node bios setting list {node} --fields name read_only")
    assert set(chosen[0]) == {"name", "read_only"}
    setting = baremetal(f"node bios setting show {node} ProcVirtualization")
    assert setting["value"] == "Enabled"
    assert [row["component"] for row in baremetal(f"node firmware list {node}")] == [
        "bios",
        "bmc",
        "nic:NIC1",
    ]


def test_raid(baremetal, node) -> None:
    baremetal(f"node manage {node} {WAIT}")
    disk = {"size_gb": "MAX", "raid_level": "5", "is_root_volume": True}
    config = shlex.quote(json.dumps({"logical_disks": [disk]}))
    baremetal(f"node set {node} --target-raid-config {config}")
    step = {"interface": "raid", "step": "create_configuration"}
    baremetal(f"node clean {node} --clean-steps {steps(step)} {WAIT}")
    shown = baremetal(f"node show {node} --fields raid_config target_raid_config")
    assert shown["raid_config"]["logical_disks"][0]["raid_level"] == "5"
    baremetal(f"node unset {node} --target-raid-config")
    assert baremetal(f"node show {node} --fields target_raid_config")["target_raid_config"] == {}


def test_what_happened_is_kept_with_who_asked_for_it(service, baremetal, node) -> None:
    baremetal(f"node manage {node} {WAIT}")
    (entry, *_) = baremetal(f"node history list {node}")
    detailed = {row["uuid"]: row for row in baremetal(f"node history list {node} --long")}
    asked = USER if service.mode == "http_basic" else None
    assert detailed[entry["uuid"]]["user"] == asked
    got = baremetal(f"node history get {node} {entry['uuid']}")
    assert (got["uuid"], got["severity"]) == (entry["uuid"], entry["severity"])


def test_faults_are_told(baremetal, node) -> None:
    fault = shlex.quote(json.dumps({"power": "no answer from the sockets"}))
    baremetal(f"node set {node} --driver-info fake_fault={fault}")
    with pytest.raises(Complaint, match="enroll"):
        baremetal(f"node manage {node} {WAIT}")
    told = baremetal(f"node show {node} --fields last_error")["last_error"]
    assert "no answer from the sockets" in told
    assert "no answer from the sockets" in baremetal(f"node history list {node}")[0]["event"]
    baremetal(f"node unset {node} --driver-info fake_fault")
    baremetal(f"node manage {node} {WAIT}")
