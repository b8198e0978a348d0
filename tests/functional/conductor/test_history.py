"""What the conductor writes for clients to read: history, BIOS settings, firmware components."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select

from drophammer import history
from drophammer.model import BiosSetting, FirmwareComponent, HistoryEntry


def entries(scene: Any, node_id: int) -> list[HistoryEntry]:
    with scene.store.read() as session:
        query = select(HistoryEntry).where(HistoryEntry.node_id == node_id)
        return list(session.scalars(query.order_by(HistoryEntry.id)))


def test_an_operation_that_ends_well_is_an_entry_with_who_where_and_how_long(scene: Any) -> None:
    scene.start(fake_delays={"deploy": (0.1, 0.1)})
    node_id = scene.node("available")
    scene.provision(node_id, "active", user="ann")
    scene.until_state(node_id, "active")
    (entry,) = entries(scene, node_id)
    assert (entry.severity, entry.event_type, entry.user) == ("INFO", "provisioning", "ann")
    assert (entry.conductor, entry.state, entry.target_provision_state) == ("test", "active", None)
    assert re.fullmatch(
        r"'active' has been done in \d\.\d s; the node went from available to active\.", entry.event
    )
    assert entry.duration_seconds is not None
    assert 0.1 <= entry.duration_seconds < 10


def test_every_last_error_is_an_entry(scene: Any) -> None:
    scene.start()
    node_id = scene.node("manageable", driver_info={"fake_fault": {"deploy": "disk on fire"}})
    scene.provision(node_id, "provide")
    node = scene.until_state(node_id, "clean failed")
    (entry,) = entries(scene, node_id)
    assert entry.event == node.last_error
    assert (entry.severity, entry.event_type) == ("ERROR", "cleaning")
    assert (entry.state, entry.target_provision_state) == ("clean failed", "available")


def test_each_kind_of_work_has_its_name(scene: Any) -> None:
    scene.start()
    node_id = scene.node()
    hold = {"interface": "power", "step": "reboot"}
    for verb, state, request in (
        ("manage", "manageable", {}),
        ("inspect", "manageable", {}),
        ("provide", "available", {}),
        ("active", "active", {}),
        ("service", "active", {"service_steps": [hold]}),
        ("rescue", "rescue", {"rescue_password": "x"}),
        ("unrescue", "active", {}),
    ):
        scene.provision(node_id, verb, **request)
        scene.until(
            node_id, lambda n, state=state: n.provision_state == state and n.operation_id is None
        )
    scene.bus.call("conductor", "power", node_id=node_id, target="power off")
    scene.until(node_id, lambda n: n.operation_id is None)
    assert [entry.event_type for entry in entries(scene, node_id)] == [
        *("verify", "inspection", "cleaning", "provisioning"),
        *("servicing", "rescue", "rescue", "power"),
    ]


def test_old_entries_go_and_the_newest_stay(scene: Any) -> None:
    process = scene.start(history_entries=3)
    long, short = scene.node(), scene.node()
    with scene.store.write() as session:
        for node_id, count in ((long, 5), (short, 2)):
            for number in range(count):
                history.record(
                    session,
                    node_id=node_id,
                    at=scene.store.clock.now(),
                    severity=history.INFO,
                    event_type="verify",
                    event=str(number),
                    conductor="test",
                    user=None,
                    project=None,
                    state="manageable",
                    target=None,
                    seconds=1,
                )
    process.periodic.cut_history()
    assert [entry.event for entry in entries(scene, long)] == ["2", "3", "4"]
    assert len(entries(scene, short)) == 2


def test_settings_and_components_are_there_as_soon_as_the_node_is_managed(scene: Any) -> None:
    scene.start()
    node_id = scene.node()
    scene.provision(node_id, "manage")
    scene.until_state(node_id, "manageable")
    with scene.store.read() as session:
        names = set(session.scalars(select(BiosSetting.name)))
        components = session.scalars(select(FirmwareComponent)).all()
    assert {"BootMode", "LogicalProc"} <= names
    assert components
    assert all(part.initial_version == part.current_version for part in components)


def test_a_step_that_changes_them_is_seen_and_the_first_version_remembered(scene: Any) -> None:
    scene.start()
    node_id = scene.node()
    scene.provision(node_id, "manage")
    scene.until_state(node_id, "manageable")
    with scene.store.read() as session:
        before = session.scalars(select(FirmwareComponent)).all()
    component = before[0].component
    update = {
        "interface": "firmware",
        "step": "update",
        "args": {"settings": [{"component": component, "url": "http://x/fw-9.9.bin"}]},
    }
    scene.provision(node_id, "clean", clean_steps=[update])
    scene.until(node_id, lambda n: n.provision_state == "manageable" and n.operation_id is None)
    with scene.store.read() as session:
        after = session.get_one(FirmwareComponent, (node_id, component))
    assert after.current_version != before[0].current_version
    assert after.initial_version == before[0].initial_version


def test_hardware_that_does_not_tell_fails_nothing(scene: Any) -> None:
    scene.start()
    faults = {"fake_fault": {"bios": "no answer"}}
    for fields in ({"bios_interface": "no-bios"}, {"driver_info": faults}):
        node_id = scene.node(**fields)
        scene.provision(node_id, "manage")
        node = scene.until_state(node_id, "manageable")
        assert node.last_error is None
