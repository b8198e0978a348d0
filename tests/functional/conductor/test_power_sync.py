"""The power of machines that somebody else switched, and of controllers that do not answer."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, select

from conductor.drivers.fake.power import FakePower
from conductor.process import ConductorProcess
from drophammer import conductors, events, powerstates
from drophammer.model import HistoryEntry, Node, new_uuid
from drophammer.powerstates import Finding
from tests.patience import PATIENCE

DEAD = {"fake_fault": {"power": "BmcUnreachable: No answer from 192.0.2.7 within 10 s."}}
QUIET = {"heartbeat_interval": 1000, "sweep_interval": 1000}


@pytest.fixture
def process(scene: Any) -> ConductorProcess:
    return scene.start(**QUIET, power_sync_retries=1)


def button(process: ConductorProcess, node: Node, action: str) -> None:
    """Somebody at the machine switches it."""
    power = process.box.drivers.make(process.box, FakePower)
    assert isinstance(power, FakePower)
    power.send(node, action)


def change(scene: Any, node_id: int, **columns: Any) -> None:
    with scene.store.write() as session:
        for name, value in columns.items():
            setattr(session.get_one(Node, node_id), name, value)


def told(scene: Any, node_id: int) -> list[tuple[str, str]]:
    with scene.store.read() as session:
        return [(one.kind, one.message) for one in events.of_node(session, node_id, 0, 500)]


def entries(scene: Any, node_id: int) -> list[HistoryEntry]:
    with scene.store.read() as session:
        query = select(HistoryEntry).where(HistoryEntry.node_id == node_id)
        return list(session.scalars(query.order_by(HistoryEntry.id)))


@pytest.fixture
def statements(scene: Any) -> Iterator[list[str]]:
    found: list[str] = []
    main = threading.get_ident()

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.get_ident() == main and not statement.startswith(("BEGIN", "PRAGMA")):
            found.append(statement)

    event.listen(scene.store.engine, "before_cursor_execute", note)
    yield found
    event.remove(scene.store.engine, "before_cursor_execute", note)


def test_a_machine_that_somebody_else_switched_is_written_down(
    scene: Any, process: ConductorProcess
) -> None:
    node_id = scene.node("active", power_state="power on")
    other = scene.node("active", power_state="power on")
    button(process, scene.get(node_id), "off")
    process.power_sync.sync()
    assert scene.get(node_id).power_state == "power off"
    assert told(scene, node_id) == [("power", "the machine was found off; it had been on")]
    assert entries(scene, node_id) == []
    assert (scene.get(other).power_state, told(scene, other)) == ("power on", [])


def test_a_round_without_news_writes_nothing(
    scene: Any, process: ConductorProcess, statements: list[str]
) -> None:
    for _ in range(20):
        scene.node("active", power_state="power on")
    statements.clear()
    process.power_sync.sync()
    assert len(statements) == 2, statements
    assert not [text for text in statements if text.startswith("UPDATE")]


def test_a_page_of_news_is_one_update(
    scene: Any, process: ConductorProcess, statements: list[str]
) -> None:
    node_ids = [scene.node("active", power_state=state) for state in ("power on", "power off") * 5]
    for node_id in node_ids:
        node = scene.get(node_id)
        button(process, node, "off" if node.power_state == "power on" else "on")
    statements.clear()
    process.power_sync.sync()
    assert [scene.get(node_id).power_state for node_id in node_ids] == [
        "power off",
        "power on",
    ] * 5
    assert len([text for text in statements if text.startswith("UPDATE nodes")]) == 1
    assert len([text for text in statements if text.startswith("INSERT")]) == 1


def test_a_page_of_silence_is_one_entry_for_each_in_one_statement(
    scene: Any, process: ConductorProcess, statements: list[str]
) -> None:
    node_ids = [scene.node("active", driver_info=DEAD) for _ in range(5)]
    process.power_sync.sync()
    statements.clear()
    process.power_sync.sync()
    # Some databases' words have quotes around them.
    inserts = [text.split("(")[0] for text in statements if text.startswith("INSERT")]
    assert len([text for text in inserts if "history" in text]) == 1
    for node_id in node_ids:
        [entry] = entries(scene, node_id)
        assert entry.event == scene.get(node_id).last_error


@pytest.mark.parametrize(
    "columns",
    [
        {"provision_state": "wait call-back"},
        {"provision_state": "clean wait"},
        {"provision_state": "enroll"},
        {"provision_state": "adopt failed"},
        {"maintenance": True},
        {"target_power_state": "power on"},
        {"lease_owner": "somebody"},
        {"driver": "of-another"},
        {"conductor_group": "far"},
    ],
    ids=lambda columns: next(iter(columns.values())),
)
def test_whom_nobody_asks(scene: Any, process: ConductorProcess, columns: dict[str, Any]) -> None:
    node_id = scene.node("active", power_state="power on")
    change(scene, node_id, **columns)
    button(process, scene.get(node_id), "off")
    process.power_sync.sync()
    assert scene.get(node_id).power_state == "power on"


def test_what_was_found_of_a_node_that_was_taken_meanwhile_is_dropped(scene: Any) -> None:
    taken, free = scene.node("active", power_state="power on"), scene.node("active")
    found = [
        Finding(scene.get(node_id), {"power_state": "power off"}, "found off")
        for node_id in (taken, free)
    ]
    # Taken and given back: the machine has been switched on again since it was asked.
    change(scene, taken, fence=scene.get(taken).fence + 1)
    with scene.store.write() as session:
        written = powerstates.write(session, found, scene.store.clock.now(), "test")
    assert [one.node.id for one in written] == [free]
    assert scene.get(taken).power_state == "power on"
    assert told(scene, taken) == []


def test_a_controller_that_stays_silent_is_a_fault_without_maintenance(
    scene: Any, process: ConductorProcess
) -> None:
    node_id = scene.node("available", power_state="power off", driver_info=DEAD)
    process.power_sync.sync()
    assert scene.get(node_id).fault is None
    process.power_sync.sync()
    node = scene.get(node_id)
    assert (node.fault, node.maintenance, node.power_state) == (
        "power failure",
        False,
        "power off",
    )
    assert node.last_error.startswith("Power failure: ")
    assert f"Node {node.uuid}: " in node.last_error
    assert "No answer from 192.0.2.7 within 10 s." in node.last_error
    assert "the last of 2 questions" in node.last_error
    assert "since 20" in node.last_error
    assert "asked again every 300 s" in node.last_error
    [entry] = entries(scene, node_id)
    assert (entry.severity, entry.event, entry.state) == ("ERROR", node.last_error, "available")
    assert told(scene, node_id) == [("error", node.last_error)]
    process.power_sync.sync()
    assert len(entries(scene, node_id)) == 1


@pytest.mark.parametrize("maintenance", [False, True])
def test_the_fault_ends_when_the_controller_answers(
    scene: Any, process: ConductorProcess, maintenance: bool
) -> None:
    node_id = scene.node("available", power_state="power on", driver_info=DEAD)
    process.power_sync.sync()
    process.power_sync.sync()
    change(scene, node_id, driver_info={}, maintenance=maintenance)
    button(process, scene.get(node_id), "off")
    process.power_sync.sync()
    assert scene.get(node_id).fault == "power failure"
    process.power_sync.recover()
    node = scene.get(node_id)
    assert (node.fault, node.last_error, node.maintenance) == (None, None, maintenance)
    assert node.power_state == "power off"
    text = "The power controller answers again; the machine was found off; it had been on."
    assert told(scene, node_id)[-1] == ("power", text)
    assert [(entry.severity, entry.event) for entry in entries(scene, node_id)][1:] == [
        ("INFO", text)
    ]


def test_an_error_of_something_else_is_not_written_over(
    scene: Any, process: ConductorProcess
) -> None:
    node_id = scene.node("deploy failed", driver_info=DEAD, last_error="No such image.")
    process.power_sync.sync()
    process.power_sync.sync()
    assert scene.get(node_id).last_error == "No such image."
    change(scene, node_id, driver_info={})
    process.power_sync.recover()
    node = scene.get(node_id)
    assert (node.fault, node.last_error) == (None, "No such image.")


def test_silences_are_counted_only_in_a_row(scene: Any, process: ConductorProcess) -> None:
    node_id = scene.node("available", power_state="power off", driver_info=DEAD)
    process.power_sync.sync()
    change(scene, node_id, driver_info={})
    process.power_sync.sync()
    change(scene, node_id, driver_info=DEAD)
    process.power_sync.sync()
    assert scene.get(node_id).fault is None


def test_a_driver_that_breaks_is_a_failure_like_any_other(
    scene: Any, process: ConductorProcess
) -> None:
    well = scene.node("active", power_state="power on")
    node_id = scene.node("active", power_state="power on")
    change(scene, node_id, power_interface="none-such")
    broken = scene.node("active", power_state="power on", driver_info={"fake_fault": 7})
    button(process, scene.get(well), "off")
    process.power_sync.sync()
    process.power_sync.sync()
    assert scene.get(well).power_state == "power off"
    assert "does not support the power interface" in scene.get(node_id).last_error
    assert scene.get(broken).fault == "power failure"


def test_secrets_of_a_controller_stay_out_of_what_is_told(
    scene: Any, process: ConductorProcess
) -> None:
    info = {
        "ipmi_password": "CANARY-7",
        "fake_fault": {"power": "BmcAuthFailed: refused user root, CANARY-7"},
    }
    node_id = scene.node("active", driver_info=info)
    process.power_sync.sync()
    process.power_sync.sync()
    assert "refused user root" in scene.get(node_id).last_error
    everything = [scene.get(node_id).last_error, *(text for _, text in told(scene, node_id))]
    assert not [text for text in everything if "CANARY" in text]


def test_each_node_is_polled_by_one_of_the_conductors_that_could(
    scene: Any, process: ConductorProcess
) -> None:
    now = scene.store.clock.now()
    with scene.store.write() as session:
        for group, driver, at in (
            ("", "fake-hardware", now),
            ("", "ipmi", now),
            ("far", "fake-hardware", now),
            ("", "fake-hardware", now - datetime.timedelta(hours=1)),
        ):
            conductors.register(
                session,
                uuid=new_uuid(),
                hostname="another",
                group=group,
                hardware_types={driver: {}},
                now=at,
            )
    node_ids = [scene.node("active", power_state="power on") for _ in range(60)]
    for node_id in node_ids:
        button(process, scene.get(node_id), "off")
    process.power_sync.sync()
    found = [scene.get(node_id).power_state for node_id in node_ids].count("power off")
    assert 12 < found < 48  # About half: of the other four only one could.


def test_no_more_are_asked_at_once_than_there_are_workers(scene: Any) -> None:
    process = scene.start(**QUIET, power_sync_workers=3)
    at_once: list[int] = []
    inside, lock, full = 0, threading.Lock(), threading.Event()

    class Slow(FakePower):
        def state(self, node: Node) -> str:
            nonlocal inside
            with lock:
                inside += 1
                at_once.append(inside)
                if inside == 3:
                    full.set()
            full.wait(PATIENCE)
            with lock:
                inside -= 1
            return super().state(node)

    process.box.drivers._made[FakePower] = Slow(process.box)
    for _ in range(30):
        scene.node("active", power_state="power on")
    process.power_sync.sync()
    assert (len(at_once), max(at_once)) == (30, 3)


def test_the_look_is_taken_at_its_interval_and_ends_with_the_conductor(scene: Any) -> None:
    node_id = scene.node("active", power_state="power on", driver_info=DEAD)
    process = scene.start(
        **QUIET, power_sync_retries=0, power_sync_interval=0.05, power_recovery_interval=0.05
    )
    scene.until(node_id, lambda node: node.fault == "power failure")
    change(scene, node_id, driver_info={})
    scene.until(node_id, lambda node: node.fault is None)
    button(process, scene.get(node_id), "off")
    scene.until(node_id, lambda node: node.power_state == "power off")
    scene.stop()
    assert not [one for one in threading.enumerate() if one.name.startswith("power-")]


def test_intervals_of_nought_start_nothing(scene: Any) -> None:
    scene.start(**QUIET, power_sync_interval=0, power_recovery_interval=0)
    assert not [one for one in threading.enumerate() if one.name.startswith("power-")]


# Where the service is to have the last word


def test_a_machine_is_switched_back_where_that_is_wanted(scene: Any) -> None:
    process = scene.start(**QUIET, force_power_state=True)
    node_id = scene.node("active", power_state="power on")
    button(process, scene.get(node_id), "off")
    process.power_sync.sync()
    scene.until(node_id, lambda node: node.operation_id is None)
    node = scene.get(node_id)
    assert (node.power_state, node.last_error) == ("power on", None)
    power = process.box.drivers.make(process.box, FakePower)
    assert isinstance(power, FakePower)
    assert power.state(node) == "power on"


def test_a_machine_that_cannot_be_switched_back_is_left_as_it_is(scene: Any) -> None:
    process = scene.start(**QUIET, force_power_state=True, power_sync_retries=2)
    node_id = scene.node("active", power_state="power off", disable_power_off=True)
    button(process, scene.get(node_id), "on")
    process.power_sync.sync()
    process.power_sync.sync()
    assert scene.get(node_id).power_state == "power off"
    process.power_sync.sync()
    assert scene.get(node_id).power_state == "power on"
    assert "switched back 2 times in vain" in told(scene, node_id)[-1][1]
