"""Deadlines that every conductor keeps, and work that is found when its worker is gone."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest
from sqlalchemy import event, select, update

from conductor.sweeps import Sweeps
from conductor.task import Task
from drophammer import boots, conductors, events
from drophammer.model import Agent, Conductor, Node, Operation, new_uuid
from tests.databases import only_sqlite

FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
ERASE = {"interface": "deploy", "step": "erase_devices_metadata"}


def to_wait(scene: Any, **settings: Any) -> int:
    scene.start(**FILES, heartbeat_interval=1000, sweep_interval=1000, **settings)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean wait")
    return int(node_id)


def change(scene: Any, node_id: int, **columns: Any) -> None:
    with scene.store.write() as session:
        for name, value in columns.items():
            setattr(session.get_one(Node, node_id), name, value)


def late(scene: Any, node_id: int, **columns: Any) -> None:
    """The node's deadline has passed, and somebody looks."""
    past = scene.store.clock.now() - datetime.timedelta(seconds=1)
    change(scene, node_id, deadline=past, **columns)
    scene.process.periodic.sweep()


def told(scene: Any, node_id: int) -> str:
    with scene.store.read() as session:
        return "\n".join(found.message for found in events.of_node(session, node_id, 0, 500))


def another_conductor(scene: Any, group: str, driver: str) -> None:
    with scene.store.write() as session:
        conductors.register(
            session,
            uuid=new_uuid(),
            hostname="another",
            group=group,
            hardware_types={driver: {}},
            now=scene.store.clock.now(),
        )


# Deadlines


def test_a_deadline_is_kept_in_maintenance(scene: Any) -> None:
    node_id = to_wait(scene)
    late(scene, node_id, maintenance=True)
    node = scene.until_state(node_id, "clean failed")
    assert "Timed out" in node.last_error
    assert node.power_state == "power off"


@pytest.mark.parametrize(
    "away", [{"driver": "of-yesterday"}, {"conductor_group": "closed"}], ids=["driver", "group"]
)
def test_a_node_that_no_conductor_could_reach_is_ended_without_its_machine(
    scene: Any, away: dict[str, str]
) -> None:
    node_id = to_wait(scene)
    late(scene, node_id, **away)
    node = scene.until_state(node_id, "clean failed")
    assert "Timed out" in node.last_error
    assert "No running conductor has the driver" in node.last_error
    assert "has not been touched" in node.last_error
    assert next(iter(away.values())) in node.last_error
    assert node.power_state == "power on"
    with scene.store.read() as session:
        assert boots.is_set(session, node_id)
    assert "off (clean-up)" not in told(scene, node_id)


@pytest.mark.parametrize("state", ["clean wait", "cleaning"])
def test_what_another_conductor_drives_is_left_to_it(scene: Any, state: str) -> None:
    node_id = to_wait(scene)
    another_conductor(scene, "rack-2", "fake-hardware")
    late(scene, node_id, conductor_group="rack-2", provision_state=state)
    assert scene.process.service._workers.stop(5)
    assert scene.get(node_id).provision_state == state
    assert scene.get(node_id).lease_owner is None


@pytest.mark.parametrize(("away", "state"), [(30, "clean failed"), (3600, "clean wait")])
def test_a_deadline_that_passed_while_no_conductor_ran_is_put_off(
    scene: Any, away: float, state: str
) -> None:
    node_id = to_wait(scene, clean_timeout=100)
    scene.stop()
    now = scene.store.clock.now()
    change(scene, node_id, deadline=now - datetime.timedelta(seconds=20))
    with scene.store.write() as session:
        session.execute(update(Conductor).values(seen_at=now - datetime.timedelta(seconds=away)))
    scene.start()
    scene.process.periodic.sweep()
    node = scene.until_state(node_id, state)
    assert node.deadline is None or node.deadline >= now + datetime.timedelta(seconds=99)


def test_beats_in_maintenance_put_the_deadline_off(scene: Any) -> None:
    node_id = to_wait(scene, clean_timeout=100)
    change(scene, node_id, maintenance=True)
    beat = scene.get(node_id).updated_at + datetime.timedelta(milliseconds=1)
    late(scene, node_id, provision_updated_at=beat)
    node = scene.get(node_id)
    assert (node.provision_state, node.lease_owner) == ("clean wait", None)
    assert node.deadline == beat + datetime.timedelta(seconds=100)


def test_beats_do_not_put_off_the_end_of_an_inspection(scene: Any) -> None:
    scene.start(**FILES, inspect_timeout=100)
    node_id = scene.machine("manageable")
    scene.provision(node_id, "inspect")
    node = scene.until_state(node_id, "inspect wait")
    assert node.deadline == node.inspection_started_at + datetime.timedelta(seconds=100)
    beat = node.updated_at + datetime.timedelta(milliseconds=1)
    late(scene, node_id, provision_updated_at=beat)
    scene.until_state(node_id, "inspect failed")


def test_a_time_out_that_was_switched_off_leaves_the_end_to_the_operator(scene: Any) -> None:
    node_id = to_wait(scene, clean_timeout=0)
    assert scene.get(node_id).deadline is None
    scene.process.periodic.sweep(first=True)
    assert scene.until_state(node_id, "clean wait").deadline is None
    scene.provision(node_id, "abort")
    scene.until_state(node_id, "clean failed")


def test_a_long_list_of_steps_is_not_late_as_long_as_each_ends(scene: Any) -> None:
    scene.start(fake_delays={"bios": (0.4, 0.4), "deploy": (0.4, 0.4)})
    node_id = scene.node("manageable")
    steps = [{"interface": "bios", "step": "factory_reset"}, ERASE]
    scene.provision(node_id, "clean", clean_steps=steps)
    deadlines = [
        scene.until(
            node_id, lambda node, step=step: node.clean_step.get("step") == step, free=False
        ).deadline
        for step in ("factory_reset", ERASE["step"])
    ]
    assert deadlines[0] < deadlines[1]


def test_a_power_request_with_patience_of_its_own_gets_it(scene: Any) -> None:
    scene.start(fake_delays={"power": (60.0, 60.0)})
    node_id = scene.node("active", power_state="power on")
    scene.bus.call("conductor", "power", node_id=node_id, target="soft power off", timeout=7200)
    left = scene.get(node_id).deadline - scene.store.clock.now()
    assert left.total_seconds() > 2 * 7200


@pytest.mark.parametrize(
    ("state", "failed"),
    [
        ("cleaning", "clean failed"),
        ("rescue wait", "rescue failed"),
        ("verifying", "enroll"),
        ("deploy hold", "deploy failed"),
    ],
)
def test_a_node_without_an_operation_is_not_stuck_either(
    scene: Any, state: str, failed: str
) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = scene.node(state)
    late(scene, node_id)
    node = scene.until_state(node_id, failed)
    assert f"in state '{state}' without an operation" in node.last_error
    assert (node.deadline, node.lease_owner) == (None, None)


def test_a_deadline_of_a_node_at_rest_means_nothing(scene: Any) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = scene.node("active")
    late(scene, node_id)
    node = scene.until(node_id, lambda node: node.deadline is None)
    assert (node.provision_state, node.last_error) == ("active", None)


# Work whose worker is gone


def test_a_visit_whose_visitor_died_is_made_again_without_a_word_of_the_ramdisk(
    scene: Any, agent: Any
) -> None:
    node_id = to_wait(scene)
    process = scene.process
    with scene.store.write() as session:
        row = session.get_one(Agent, node_id)
        row.url, row.token, row.version, row.beats = agent.url, agent.token, "1", 1
        row.last_beat = scene.store.clock.now()
    assert Task.resume(process.box, node_id, "heartbeat") is not None
    past = scene.store.clock.now() - datetime.timedelta(seconds=1)
    change(scene, node_id, lease_owner="dead", lease_expires=past)
    process.periodic.sweep()
    scene.until_state(node_id, "available")


def test_a_lease_without_work_is_cleared_when_its_holder_is_dead(scene: Any) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    past = scene.store.clock.now() - datetime.timedelta(seconds=1)
    lease = {"lease_owner": "dead", "lease_host": "x", "lease_expires": past}
    node_ids = [scene.node("active", **lease), scene.node("active", **lease)]
    change(scene, node_ids[1], driver="gone")
    scene.process.periodic.sweep()
    for node_id in node_ids:
        node = scene.until(node_id, lambda node: node.lease_expires is None)
        assert node.provision_state == "active"


def test_beats_that_nobody_heard_are_heard_at_the_start(scene: Any, agent: Any) -> None:
    node_id = to_wait(scene)
    scene.stop()
    with scene.store.write() as session:
        row = session.get_one(Agent, node_id)
        row.url, row.token, row.version, row.beats = agent.url, agent.token, "1", 1
        row.last_beat = scene.store.clock.now()
    scene.start()
    scene.until_state(node_id, "available")


def test_a_waiting_node_in_maintenance_is_left_alone_for_good(scene: Any) -> None:
    node_id = to_wait(scene)
    change(scene, node_id, maintenance=True)
    with scene.store.write() as session:
        session.scalars(select(Operation)).one().state = "running"
    fence = scene.get(node_id).fence
    for _ in range(3):
        scene.process.periodic.sweep()
    assert scene.process.service._workers.stop(5)
    assert scene.get(node_id).fence == fence


# What it costs


@only_sqlite
def test_a_look_reads_only_the_rows_that_it_is_about(scene: Any) -> None:
    process = scene.start(heartbeat_interval=1000, sweep_interval=1000)
    statements: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if threading.current_thread() is threading.main_thread() and "SELECT" in statement:
            statements.append((statement, parameters))

    event.listen(scene.store.engine, "before_cursor_execute", note)
    sweeps = Sweeps(process.box, process.periodic._sweeps._runner)
    sweeps.orphans()
    sweeps.overdue()
    event.remove(scene.store.engine, "before_cursor_execute", note)
    assert len(statements) == 4
    for statement, parameters in statements:
        with scene.store.read() as session:
            connection = session.connection()
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        assert not [line for *_, line in plan if "SCAN" in line], plan
        used = " ".join(line for *_, line in plan)
        assert any(
            name in used
            for name in ("ix_operations_state", "ix_nodes_lease_owner", "ix_nodes_deadline")
        ), plan
        assert "ix_nodes_driver" not in used
        assert "ix_nodes_provision_state" not in used
