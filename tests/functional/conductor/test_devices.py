"""Out-of-band management of a fake machine over the bus, and what other machines lack."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from drophammer.errors import (
    BmcAuthFailed,
    BmcUnreachable,
    Conflict,
    Invalid,
    NodeLocked,
    NotFound,
    Unsupported,
)
from drophammer.model import HistoryEntry
from drophammer.store import Holder
from tests.patience import PATIENCE, until


def call(scene: Any, method: str, /, **arguments: Any) -> Any:
    return scene.bus.call("conductor", method, **arguments)


def free(node: Any) -> bool:
    """Whether the worker behind the last answer has ended."""
    return node.lease_owner is None


def ipmi(scene: Any, **fields: Any) -> int:
    node_id: int = scene.node("active", **fields)
    with scene.store.write() as session:
        session.get_one(type(scene.get(node_id)), node_id).driver = "ipmi"
    return node_id


@pytest.fixture
def node_id(scene: Any) -> int:
    scene.start()
    return int(scene.node("manageable"))


def test_the_boot_device_is_what_it_was_set_to(scene: Any, node_id: int) -> None:
    call(scene, "set_boot_device", node_id=node_id, device="cdrom", persistent=True)
    found = call(scene, "get_boot_device", node_id=node_id)
    assert found == {"boot_device": "cdrom", "persistent": True}
    assert "disk" in call(scene, "supported_boot_devices", node_id=node_id)
    with pytest.raises(Invalid, match="'moon' is not supported"):
        call(scene, "set_boot_device", node_id=node_id, device="moon")


def test_boot_mode_and_secure_boot_end_up_in_the_node(scene: Any, node_id: int) -> None:
    call(scene, "set_boot_mode", node_id=node_id, mode="uefi")
    scene.until(node_id, lambda node: node.boot_mode == "uefi")
    call(scene, "set_secure_boot", node_id=node_id, on=True)
    scene.until(node_id, lambda node: node.secure_boot is True)
    call(scene, "set_boot_mode", node_id=node_id, mode="bios")
    node = scene.until(node_id, lambda node: node.boot_mode == "bios")
    assert node.secure_boot is False
    with pytest.raises(Invalid, match="no Secure Boot"):
        call(scene, "set_secure_boot", node_id=node_id, on=True)
    assert free(scene.get(node_id))


def test_a_boot_mode_that_does_not_exist_is_refused_with_those_that_do(
    scene: Any, node_id: int
) -> None:
    with pytest.raises(Invalid, match="it has uefi, bios"):
        call(scene, "set_boot_mode", node_id=node_id, mode="cp/m")
    assert free(scene.get(node_id))


def test_the_boot_mode_is_left_alone_while_work_is_under_way(scene: Any) -> None:
    scene.start()
    with pytest.raises(Conflict, match="clean wait"):
        call(scene, "set_boot_mode", node_id=scene.node("clean wait"), mode="uefi")


def test_the_node_is_held_until_the_work_behind_the_answer_is_done(scene: Any) -> None:
    scene.start(fake_delays={"management": (0.5, 0.5)})
    node_id = scene.node("manageable")
    call(scene, "set_boot_mode", node_id=node_id, mode="uefi")
    with pytest.raises(NodeLocked, match="set boot mode"):
        call(scene, "set_boot_mode", node_id=node_id, mode="bios")
    assert scene.get(node_id).boot_mode is None
    scene.until(node_id, lambda node: node.boot_mode == "uefi")


def test_a_failure_behind_the_answer_is_the_last_error_and_in_the_history(scene: Any) -> None:
    scene.start()
    node_id = scene.node(
        "manageable", driver_info={"fake_fault": {"management": "BmcError: it sulks"}}
    )
    call(scene, "set_boot_mode", node_id=node_id, mode="uefi")
    node = scene.until(node_id, lambda node: node.last_error is not None)
    assert "it sulks" in node.last_error
    assert node.boot_mode is None
    with scene.store.read() as session:
        (entry,) = session.scalars(select(HistoryEntry))
    assert entry.event == node.last_error
    assert entry.severity == "ERROR"


class Away:
    """A database that is away from the moment when some transactions have been committed."""

    def __init__(self, store: Any, commits: int) -> None:
        self._engine, self._left = store.engine, commits
        event.listen(self._engine, "commit", self._committed)
        event.listen(self._engine, "begin", self._begin)

    def back(self) -> None:
        event.remove(self._engine, "commit", self._committed)
        event.remove(self._engine, "begin", self._begin)

    def _committed(self, connection: Any) -> None:
        self._left -= not _by_the_clock()

    def _begin(self, connection: Any) -> None:
        if self._left <= 0 and not _by_the_clock():
            raise OperationalError("BEGIN", {}, Exception("gone"))


def _by_the_clock() -> bool:
    """Whether this is what every conductor does, whatever a test is about."""
    return threading.current_thread().name == "periodic"


# The node is taken, then its lease is looked at again, then it is given back.
@pytest.mark.parametrize(
    ("commits", "told"), [(1, "waits for the database"), (2, "could not be given back")]
)
def test_what_was_promised_is_done_when_the_database_was_away_meanwhile(
    scene: Any, caplog: Any, commits: int, told: str
) -> None:
    scene.start(retry_seconds=0.05, fake_delays={"management": (0.1, 0.1)})
    node_id = scene.node("manageable")
    away = Away(scene.store, commits)
    call(scene, "set_boot_mode", node_id=node_id, mode="uefi")
    end = time.monotonic() + PATIENCE
    while told not in caplog.text and time.monotonic() < end:
        time.sleep(0.005)
    away.back()
    node = scene.until(node_id, lambda node: node.boot_mode == "uefi")
    assert told in caplog.text
    assert node.last_error is None


def test_an_nmi_needs_the_node_for_itself(scene: Any, node_id: int) -> None:
    call(scene, "inject_nmi", node_id=node_id)
    with scene.store.write() as session:
        scene.store.reserve(session, node_id, Holder("other", "host-b"), "rescue")
    with pytest.raises(NodeLocked):
        call(scene, "inject_nmi", node_id=node_id)


def test_lights_are_listed_looked_at_and_switched(scene: Any, node_id: int) -> None:
    found = {
        (one["name"], one["component"]) for one in call(scene, "get_indicators", node_id=node_id)
    }
    assert ("led", "system") in found
    where = {"node_id": node_id, "component": "system", "name": "led"}
    assert call(scene, "get_indicator", **where) == "off"
    call(scene, "set_indicator", **where, state="blinking")
    assert call(scene, "get_indicator", **where) == "blinking"
    with pytest.raises(Invalid, match="'purple'"):
        call(scene, "set_indicator", **where, state="purple")
    with pytest.raises(NotFound, match="led@moon"):
        call(scene, "get_indicator", node_id=node_id, component="moon", name="led")
    with pytest.raises(Invalid, match="only be looked at"):
        call(scene, "set_indicator", node_id=node_id, component="power", name="led", state="on")


@pytest.mark.parametrize(
    ("method", "arguments", "purpose", "kind"),
    [
        ("get_boot_device", {}, "get boot device", "management"),
        ("set_boot_device", {"device": "pxe"}, "set boot device", "management"),
        ("inject_nmi", {}, "inject NMI", "management"),
        ("get_indicators", {}, "get indicators", "management"),
        ("get_indicator", {"component": "system", "name": "led"}, "get indicator", "management"),
        (
            "set_indicator",
            {"component": "system", "name": "led", "state": "on"},
            "set indicator",
            "management",
        ),
        ("get_vmedia", {}, "get virtual media", "management"),
        (
            "vendor_call",
            {"method": "third_method_sync", "http_method": "POST", "arguments": {"bar": "meow"}},
            "vendor method third_method_sync",
            "vendor",
        ),
    ],
)
def test_hardware_that_fails_while_somebody_waits_is_told_with_its_node_and_what_was_tried(
    scene: Any, method: str, arguments: dict[str, Any], purpose: str, kind: str
) -> None:
    scene.start()
    faults = {"fake_fault": {kind: "BmcAuthFailed: wrong password"}}
    node_id = scene.node("manageable", driver_info=faults)
    uuid = scene.get(node_id).uuid
    with pytest.raises(BmcAuthFailed) as raised:
        call(scene, method, node_id=node_id, **arguments)
    essence = f"Node {uuid}: '{purpose}' failed: the fake {kind} interface failed: wrong password."
    assert raised.value.message.startswith(essence)
    assert free(scene.get(node_id))


@pytest.mark.parametrize(
    ("method", "arguments", "tried"),
    [
        ("get_boot_device", {}, ("get boot device", "get boot device")),
        ("set_boot_device", {"device": "pxe"}, ("set boot device", "set boot device pxe")),
        ("inject_nmi", {}, ("inject NMI", "power diag")),
    ],
)
def test_a_controller_that_is_not_there_is_told_with_its_address_and_what_came_back(
    scene: Any, method: str, arguments: dict[str, Any], tried: tuple[str, str]
) -> None:
    scene.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    info = {"ipmi_address": "127.0.0.1", "ipmi_port": port, "ipmi_password": "hunter2"}
    node_id = ipmi(scene, driver_info=info)
    with pytest.raises(BmcUnreachable) as raised:
        call(scene, method, node_id=node_id, **arguments)
    said = raised.value.message
    assert said.startswith(
        f"Node {scene.get(node_id).uuid}: '{tried[0]}' failed: IPMI {tried[1]} failed at BMC "
        f"127.0.0.1:{port} (no user name): the host answers that nothing listens"
    )
    assert "Check ipmi_address" in said
    assert "hunter2" not in said


def test_what_a_call_misses_in_driver_info_is_told_with_its_node(scene: Any) -> None:
    scene.start()
    node_id = ipmi(scene)
    uuid = scene.get(node_id).uuid
    said = f"Node {uuid}: 'get boot device' failed: driver_info: ipmi_address is missing: "
    with pytest.raises(Invalid, match=re.escape(said)):
        call(scene, "get_boot_device", node_id=node_id)
    verdict = call(scene, "validate", node_id=node_id)["management"]
    assert verdict["reason"].startswith(f"Node {uuid}: driver_info: ipmi_address is missing: ")


def test_an_image_goes_into_an_emulated_drive_and_out_again(scene: Any, node_id: int) -> None:
    def images() -> dict[str, Any]:
        media = call(scene, "get_vmedia", node_id=node_id)
        return {one["media_types"][0]: one["image"] for one in media if one["inserted"]}

    url = "http://user:secret@127.0.0.1/rescue.iso?signature=secret"
    # One client writes it in capitals.
    call(scene, "attach_vmedia", node_id=node_id, device_type="CDROM", image_url=url)
    scene.until(node_id, free)
    assert images() == {"cdrom": "http://***@127.0.0.1/rescue.iso?***"}
    call(scene, "detach_vmedia", node_id=node_id, device_types=[])
    scene.until(node_id, free)
    assert images() == {}
    with pytest.raises(Invalid, match="it has cdrom, floppy, disk"):
        call(scene, "attach_vmedia", node_id=node_id, device_type="tape", image_url=url)


def test_the_console_is_switched_on_and_off(scene: Any, node_id: int) -> None:
    off = {"console_enabled": False, "console_info": None}
    assert call(scene, "get_console", node_id=node_id) == off
    call(scene, "set_console", node_id=node_id, enabled=True)
    scene.until(node_id, lambda node: node.console_enabled)
    shown = call(scene, "get_console", node_id=node_id)
    assert shown["console_enabled"] is True
    assert set(shown["console_info"]) == {"type", "url"}
    call(scene, "set_console", node_id=node_id, enabled=False)
    scene.until(node_id, lambda node: not node.console_enabled)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("set_boot_mode", {"mode": "uefi"}),
        ("set_secure_boot", {"on": True}),
        ("get_indicators", {}),
        ("get_vmedia", {}),
        ("attach_vmedia", {"device_type": "cdrom", "image_url": "http://127.0.0.1/x"}),
        ("detach_vmedia", {"device_types": ["cdrom"]}),
        ("get_console", {}),
        ("set_console", {"enabled": True}),
        ("set_target_raid_config", {"config": {"logical_disks": []}}),
    ],
)
def test_what_a_machine_lacks_is_said_before_anything_happens(
    scene: Any, method: str, arguments: dict[str, Any]
) -> None:
    scene.start()
    node_id = ipmi(scene)
    with pytest.raises(Unsupported, match=r"Node .*: the driver 'ipmi' does not support "):
        call(scene, method, node_id=node_id, **arguments)
    assert free(scene.get(node_id))


def test_a_heartbeat_that_came_while_the_node_was_held_is_not_lost(scene: Any, agent: Any) -> None:
    scene.start(
        deploy_kernel="http://127.0.0.1/k",
        deploy_ramdisk="http://127.0.0.1/r",
        fake_delays={"management": (0.5, 0.5)},
    )
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")

    def came() -> bool:
        """Whether the heartbeat came meanwhile; a machine that stands still may be too late."""
        caller = threading.Thread(target=lambda: call(scene, "inject_nmi", node_id=node_id))
        caller.start()
        held = False
        while caller.is_alive() and not held:
            held = scene.get(node_id).lease_purpose == "inject NMI"
        if held:
            scene.call_back(node_id, agent)
        caller.join()
        return held

    until(came)
    agent.until(lambda: "clean.get_clean_steps" in agent.names())
