"""What fake hardware remembers, how long it takes, and how it fails."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import select

from conductor.drivers.fake import FakePower
from conductor.fakefaults import parse
from drophammer.errors import BmcUnreachable, HardwareError, Invalid, Unsupported
from drophammer.model import BiosSetting, FirmwareComponent, Node, Operation
from drophammer.states import MANAGEABLE
from tests.patience import PATIENCE

RESET = {"interface": "power", "step": "reset"}


def clean(scene: Any, node_id: int, interface: str, step: str, **args: Any) -> Any:
    """Run one step of a fake interface; the node as it is afterwards."""
    wanted = {"interface": interface, "step": step, "args": args}
    scene.provision(node_id, "clean", clean_steps=[wanted])
    return scene.until(node_id, lambda node: node.provision_state in (MANAGEABLE, "clean failed"))


def bios(scene: Any, node_id: int) -> dict[str, str]:
    with scene.store.read() as session:
        query = select(BiosSetting).where(BiosSetting.node_id == node_id)
        return {row.name: row.value for row in session.scalars(query)}


def versions(scene: Any, node_id: int) -> dict[str, tuple[str, str | None, str | None]]:
    with scene.store.read() as session:
        query = select(FirmwareComponent).where(FirmwareComponent.node_id == node_id)
        return {
            row.component: (row.initial_version, row.current_version, row.last_version_flashed)
            for row in session.scalars(query)
        }


def test_bios_settings_are_changed_and_reset(scene: Any) -> None:
    scene.start()
    node_id = scene.node(MANAGEABLE)
    settings = [{"name": "LogicalProc", "value": "Disabled"}, {"name": "AssetTag", "value": "7"}]
    node = clean(scene, node_id, "bios", "apply_configuration", settings=settings)
    assert node.last_error is None
    changed = bios(scene, node_id)
    assert (changed["LogicalProc"], changed["AssetTag"]) == ("Disabled", "7")
    # Another process drives the same machine: it still knows.
    scene.stop()
    scene.start()
    clean(scene, node_id, "management", "reset_bmc")
    assert bios(scene, node_id) == changed
    clean(scene, node_id, "bios", "factory_reset")
    assert bios(scene, node_id)["LogicalProc"] == "Enabled"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "not empty"),
        ([{"name": "LogicalProc"}], 'object with "name" and "value"'),
        ([{"name": "Moon", "value": "1"}], "there is no 'Moon'"),
        ([{"name": "LogicalProc", "value": "Maybe"}], "allowed are Enabled, Disabled"),
        ([{"name": "BootRetryDelay", "value": "601"}], "from 0 to 600"),
        ([{"name": "AssetTag", "value": "x" * 64}], "up to 63 characters"),
        ([{"name": "SystemModelName", "value": "x"}], "read-only"),
    ],
)
def test_a_bios_setting_that_the_registry_forbids_fails_the_step(
    scene: Any, settings: list[Any], said: str
) -> None:
    scene.start()
    node_id = scene.node(MANAGEABLE)
    node = clean(scene, node_id, "bios", "apply_configuration", settings=settings)
    assert node.provision_state == "clean failed"
    assert said in node.last_error
    assert bios(scene, node_id).get("LogicalProc", "Enabled") == "Enabled"


def test_a_firmware_update_changes_the_version(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll")
    scene.provision(node_id, "manage")
    scene.until_state(node_id, MANAGEABLE)
    assert versions(scene, node_id)["bmc"] == ("1.0.0", "1.0.0", None)
    update = {"component": "bmc", "url": "http://127.0.0.1/images/bmc-fw-2.10.3.bin"}
    node = clean(scene, node_id, "firmware", "update", settings=[update])
    assert node.last_error is None
    assert versions(scene, node_id)["bmc"] == ("1.0.0", "2.10.3", "2.10.3")
    assert versions(scene, node_id)["bios"] == ("1.0.0", "1.0.0", None)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([{"component": "cpu", "url": "http://127.0.0.1/1"}], "no component 'cpu'"),
        ([{"component": "bios"}], "has no url"),
        ([{"component": "bios", "url": "http://127.0.0.1/new.bin"}], "holds no version"),
        ([{"component": "bios", "url": "gopher://127.0.0.1/1"}], "is not an http://"),
    ],
)
def test_a_firmware_update_that_makes_no_sense_fails_the_step(
    scene: Any, settings: list[Any], said: str
) -> None:
    scene.start()
    node = clean(scene, scene.node(MANAGEABLE), "firmware", "update", settings=settings)
    assert said in node.last_error


def test_raid_is_built_as_asked_and_deleted(scene: Any) -> None:
    scene.start()
    node_id = scene.node(MANAGEABLE)
    root = {"size_gb": 100, "raid_level": "1", "is_root_volume": True}
    data = {"size_gb": "MAX", "raid_level": "5"}
    config = {"logical_disks": [root, data]}
    scene.bus.call("conductor", "set_target_raid_config", node_id=node_id, config=config)
    assert scene.get(node_id).target_raid_config == config
    node = clean(scene, node_id, "raid", "create_configuration", create_root_volume=False)
    assert node.raid_config["logical_disks"] == [data]
    more = clean(scene, node_id, "raid", "create_configuration", delete_existing=False)
    assert more.raid_config["logical_disks"] == [data, root, data]
    assert clean(scene, node_id, "raid", "delete_configuration").raid_config == {}
    scene.bus.call("conductor", "set_target_raid_config", node_id=node_id, config={})
    node = clean(scene, node_id, "raid", "create_configuration")
    assert "no RAID configuration to build" in node.last_error


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"logical_disks": []}, "logical_disks"),
        ({"disks": []}, "target_raid_config"),
        ({"logical_disks": [{"size_gb": 0, "raid_level": "1"}]}, "size_gb"),
        ({"logical_disks": [{"size_gb": "much", "raid_level": "1"}]}, "size_gb"),
        ({"logical_disks": [{"size_gb": 1, "raid_level": "9"}]}, "raid_level"),
        ({"logical_disks": [{"size_gb": 1, "raid_level": "1", "colour": "red"}]}, "colour"),
        (
            {"logical_disks": [{"size_gb": 1, "raid_level": "1", "is_root_volume": True}] * 2},
            "only one can be the root volume",
        ),
    ],
)
def test_a_raid_configuration_that_makes_no_sense_is_refused(
    scene: Any, config: dict[str, Any], said: str
) -> None:
    scene.start()
    node_id = scene.node(MANAGEABLE)
    with pytest.raises(Invalid, match=said):
        scene.bus.call("conductor", "set_target_raid_config", node_id=node_id, config=config)
    assert scene.get(node_id).target_raid_config == {}


def test_the_properties_of_logical_disks_are_told_for_drivers_that_have_raid(scene: Any) -> None:
    scene.start()
    told = scene.bus.call("conductor", "raid_logical_disk_properties", driver="fake-hardware")
    assert {"size_gb", "raid_level", "is_root_volume", "share_physical_disks"} <= set(told)
    with pytest.raises(Exception, match="'ipmi' does not support RAID") as caught:
        scene.bus.call("conductor", "raid_logical_disk_properties", driver="ipmi")
    assert caught.value.status == 404


def test_delays_add_up_over_the_interfaces_that_are_fake_and_hold_no_thread(scene: Any) -> None:
    long, short = (2 * PATIENCE, 2 * PATIENCE), (0.3, 0.3)
    delays = {"boot": long, "storage": long, "deploy": short}
    scene.start(workers=1, fake_delays=delays)
    waiting = [scene.node("available"), scene.node("available")]
    quick = scene.node("available", boot_interface="ipxe", storage_interface="noop")
    began = time.monotonic()
    for node_id in (*waiting, quick):
        scene.provision(node_id, "active")
    scene.until_state(quick, "active")
    assert time.monotonic() - began >= 0.3
    assert [scene.get(node_id).provision_state for node_id in waiting] == ["deploying"] * 2
    delays.update(boot=short, storage=short)
    all_fake = scene.node("available")
    began = time.monotonic()
    scene.provision(all_fake, "active")
    scene.until_state(all_fake, "active")
    assert time.monotonic() - began >= 0.9


def test_a_caller_that_waits_waits_the_configured_time(scene: Any) -> None:
    scene.start(fake_delays={"management": (0.2, 0.2)})
    node_id = scene.node(MANAGEABLE)
    began = time.monotonic()
    scene.bus.call("conductor", "get_boot_device", node_id=node_id)
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("kind", "interface", "step"),
    [
        ("bios", "bios", "factory_reset"),
        ("raid", "raid", "delete_configuration"),
        ("deploy", "deploy", "erase_devices"),
        ("management", "management", "reset_bmc"),
        ("power", "power", "reset"),
    ],
)
def test_a_configured_fault_fails_the_step_and_names_the_interface(
    scene: Any, kind: str, interface: str, step: str
) -> None:
    fault = parse("HardwareError: smoke came out", "test")
    scene.start(fake_faults={kind: fault})
    node = clean(scene, scene.node(MANAGEABLE), interface, step)
    assert node.provision_state == "clean failed"
    assert f"the fake {kind} interface failed: smoke came out" in node.last_error


def test_a_node_may_have_faults_of_its_own_or_none(scene: Any) -> None:
    scene.start(fake_faults={"deploy": parse("it rains", "test")})
    broken = scene.node(MANAGEABLE)
    sound = scene.node(MANAGEABLE, driver_info={"fake_fault": {"deploy": 0}})
    assert clean(scene, broken, "deploy", "erase_devices").provision_state == "clean failed"
    assert clean(scene, sound, "deploy", "erase_devices").provision_state == MANAGEABLE


def test_a_fault_that_nobody_can_read_shows_in_validation(scene: Any) -> None:
    scene.start()
    node_id = scene.node(driver_info={"fake_fault": "everything"})
    verdict = scene.bus.call("conductor", "validate", node_id=node_id)
    assert verdict["power"]["result"] is False
    assert "fake_fault is not an object" in verdict["power"]["reason"]


def test_a_failing_bios_does_not_keep_a_node_from_being_managed(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll", driver_info={"fake_fault": {"bios": "it is shy"}})
    scene.provision(node_id, "manage")
    assert scene.until_state(node_id, MANAGEABLE).last_error is None


def test_a_machine_is_as_its_row_says_whoever_switched_it(scene: Any) -> None:
    scene.start()
    node_id = scene.node(MANAGEABLE, power_state="power off")
    scene.bus.call("conductor", "power", node_id=node_id, target="power on")
    node = scene.until(node_id, lambda node: node.power_state == "power on")
    box = scene.process.box
    power = box.drivers.default(box, "fake-hardware", "power")
    assert power.state(node) == "power on"
    node.power_state = "power off"  # As another conductor would.
    assert power.state(node) == "power off"


def test_a_power_fault_keeps_the_node_in_enroll(scene: Any) -> None:
    scene.start()
    node_id = scene.node("enroll", driver_info={"fake_fault": {"power": "BmcUnreachable: dead"}})
    scene.provision(node_id, "manage")
    node = scene.until(node_id, lambda node: node.last_error is not None)
    assert node.provision_state == "enroll"
    assert "interface failed: dead" in node.last_error


def test_fake_hardware_validates_without_any_driver_info(scene: Any) -> None:
    scene.start()
    verdict = scene.bus.call("conductor", "validate", node_id=scene.node())
    assert all(one == {"result": True} for one in verdict.values())


def test_manual_management_leads_through_a_life_in_which_people_push_the_buttons(
    scene: Any,
) -> None:
    scene.start()
    node_id = scene.node(
        "enroll",
        deploy_interface="noop",
        inspect_interface="no-inspect",
        automated_clean=False,  # There is nothing here that could erase.
    )
    with scene.store.write() as session:
        session.get_one(type(scene.get(node_id)), node_id).driver = "manual-management"
    for verb, state in (
        ("manage", MANAGEABLE),
        ("provide", "available"),
        ("active", "active"),
        ("deleted", "available"),
    ):
        scene.provision(node_id, verb)
        assert scene.until_state(node_id, state).last_error is None
    scene.provision(node_id, "manage")
    scene.until_state(node_id, MANAGEABLE)
    with pytest.raises(Unsupported, match="does not support inspect"):
        scene.provision(node_id, "inspect")


def test_a_hardware_error_of_a_sync_call_is_told_to_the_caller(scene: Any) -> None:
    scene.start(fake_faults={"management": parse("no", "test")})
    with pytest.raises(HardwareError, match="fake management"):
        scene.bus.call("conductor", "get_boot_device", node_id=scene.node())


def test_steps_of_an_operation_are_journalled_as_done(scene: Any) -> None:
    scene.start()
    node_id = scene.node(MANAGEABLE)
    clean(scene, node_id, "power", "reset")
    assert scene.get(node_id).power_state == "power on"
    with scene.store.read() as session:
        assert [operation.state for operation in session.scalars(select(Operation))] == ["done"]


class Deaf(FakePower):
    """Does what it is told, and its answer gets lost."""

    def send(self, node: Node, action: str) -> None:
        super().send(node, action)
        raise BmcUnreachable("no answer")


@pytest.mark.parametrize(
    ("start", "verb", "request_", "end"),
    [
        ("available", "active", {}, "active"),
        ("active", "rescue", {"rescue_password": "long enough"}, "rescue"),
        ("rescue", "unrescue", {}, "active"),
        (MANAGEABLE, "clean", {"clean_steps": [RESET]}, MANAGEABLE),
    ],
)
@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_a_machine_whose_answer_was_lost_is_looked_at(
    scene: Any, start: str, verb: str, request_: dict[str, Any], end: str, seconds: float
) -> None:
    process = scene.start(fake_delays={"power": (seconds, seconds)})
    interfaces = process.box.drivers.types["fake-hardware"].interfaces
    interfaces["power"]["fake"] = Deaf
    node_id = scene.node(start, power_state="power off")
    scene.provision(node_id, verb, **request_)
    node = scene.until(node_id, lambda node: node.operation_id is None)
    assert (node.provision_state, node.power_state) == (end, "power on"), node.last_error
