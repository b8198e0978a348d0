"""Several lives of conductors in one table: who is shown, who is forgotten, who takes over."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from conductor.begin import begin
from conductor.process import ConductorProcess
from drophammer import conductors
from drophammer.model import Conductor, Node, new_uuid
from drophammer.processes import Process


@pytest.fixture
def second(scene: Any) -> Any:
    """Makes another conductor with the same host name, as a process of its own would be."""
    made = []

    def make(**changes: Any) -> ConductorProcess:
        process = ConductorProcess(replace(scene.settings, **changes), scene.store, scene.bus)
        process.start()
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()


def rows(scene: Any) -> list[Conductor]:
    with scene.store.read() as session:
        return list(session.scalars(select(Conductor).order_by(Conductor.id)))


def held(scene: Any, process: ConductorProcess) -> int:
    """A node that this conductor has and that it works on as a process does that was killed."""
    node_id = int(scene.node("available"))
    begin(
        process.box,
        node_id,
        verb="active",
        flow="deploy",
        event="deploy",
        request={},
        check=lambda node: {},
    )
    return node_id


def set_process(scene: Any, uuid: str, process: Process | None) -> None:
    with scene.store.write() as session:
        text = None if process is None else str(process)
        session.execute(update(Conductor).where(Conductor.uuid == uuid).values(process=text))


def test_two_processes_share_a_host_name_and_neither_takes_what_the_other_has(
    scene: Any, second: Any
) -> None:
    first = scene.start()
    node_id = held(scene, first)
    other = second()
    other.periodic.sweep(first=True)
    assert scene.get(node_id).lease_owner == first.box.holder.uuid
    assert [(row.hostname, row.online) for row in rows(scene)] == [("test", True)] * 2
    assert [row.uuid for row in rows(scene)] == [first.box.holder.uuid, other.box.holder.uuid]


def test_the_work_of_a_process_that_is_gone_goes_on_at_once(scene: Any, second: Any) -> None:
    first = scene.start()
    first.periodic.stop()  # It beats no more.
    node_id = held(scene, first)
    own = Process.own()
    assert own is not None
    set_process(scene, first.box.holder.uuid, replace(own, began=own.began + 1))
    other = second()
    assert scene.until_state(node_id, "active").lease_owner is None
    assert [row.online for row in rows(scene)] == [False, True]
    assert other.box.holder.uuid != first.box.holder.uuid


@pytest.mark.parametrize("elsewhere", [True, False])
def test_whose_process_cannot_be_seen_from_here_keeps_what_it_has(
    scene: Any, second: Any, elsewhere: bool
) -> None:
    first = scene.start()
    node_id = held(scene, first)
    own = Process.own()
    assert own is not None
    far = replace(own, kernel="of another machine", began=own.began + 1)
    set_process(scene, first.box.holder.uuid, far if elsewhere else None)
    second().periodic.sweep(first=True)
    assert scene.get(node_id).lease_owner == first.box.holder.uuid


def test_a_conductor_that_was_forgotten_is_there_again_with_its_next_beat(
    scene: Any, caplog: Any
) -> None:
    first = scene.start()
    with scene.store.write() as session:
        session.delete(session.scalars(select(Conductor)).one())
    first.periodic.beat()
    assert [row.uuid for row in rows(scene)] == [first.box.holder.uuid]
    assert "silent for so long" in caplog.text


def test_each_life_has_a_higher_epoch_even_when_nobody_remembers_the_last(scene: Any) -> None:
    scene.start()
    before = rows(scene)[0].id
    scene.stop()
    with scene.store.write() as session:
        session.delete(session.scalars(select(Conductor)).one())
    scene.start()
    assert rows(scene)[0].id > before


def test_old_lives_are_forgotten_sooner_when_there_is_a_newer_one(scene: Any) -> None:
    now = scene.store.clock.now()

    def seen(host: str, **ago: float) -> None:
        moment = now - datetime.timedelta(**ago)
        with scene.store.write() as session:
            conductors.register(
                session, uuid=new_uuid(), hostname=host, group="", hardware_types={}, now=moment
            )

    seen("rack", days=40)
    seen("rack", hours=2)
    seen("rack", seconds=5)
    seen("gone", hours=2)
    seen("long-gone", days=31)
    with scene.store.write() as session:
        conductors.forget_old(session, now)
    assert [row.hostname for row in rows(scene)] == ["rack", "gone"]


def test_what_a_conductor_gives_back_when_it_stops_is_taken_up_within_a_beat(
    scene: Any, second: Any
) -> None:
    second(heartbeat_interval=0.2, sweep_interval=1000)
    first = scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = held(scene, first)
    scene.stop()
    assert scene.until_state(node_id, "active").last_error is None


def test_a_conductor_that_stops_while_nothing_can_be_written_ends_all_the_same(
    scene: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scene.start()
    with scene.store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE conductors RENAME TO away")
    try:
        scene.stop()
    finally:
        with scene.store.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE away RENAME TO conductors")
    assert "what this conductor holds is not given back" in caplog.text


def test_what_a_dead_conductor_held_is_taken_up_when_its_lease_has_run_out(
    scene: Any, second: Any
) -> None:
    first = scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = held(scene, first)
    second(heartbeat_interval=0.2, sweep_interval=1000)
    scene.store.lease_seconds = 1
    with scene.store.write() as session:
        expires = scene.store.clock.now() + datetime.timedelta(seconds=0.5)
        session.get_one(Node, node_id).lease_expires = expires
    assert scene.until_state(node_id, "active").last_error is None
