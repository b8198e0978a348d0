"""How many statements each stage of a fake node's life costs the conductor."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event, func, select

from drophammer.model import Event, Node, new_uuid
from tests import buses, databases
from tests.servers import MariaDB

# MariaDB has to be asked for what it wrote.
STAGE = 16 if isinstance(databases.SERVER, MariaDB) else 12
# Who takes calls: over a broker a pool of 32, and those who send and hear the answers.
TAKERS = 40 if buses.BROKER else 1
# How many stages there are from call to end: "deleted" is giving up and cleaning, the first
# "manage" is asking the power controller and reading what else the hardware tells.
STAGES = {"manage": 2, "inspect": 1, "provide": 1, "active": 1, "rebuild": 1, "deleted": 2}


@pytest.fixture
def counted(scene: Any) -> list[str]:
    """The statements of the conductor's bus and worker threads."""
    statements: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        ours = threading.current_thread().name.startswith(("worker", "bus-"))
        if ours and not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    event.listen(scene.store.engine, "before_cursor_execute", note)
    return statements


@pytest.fixture
def committed(scene: Any) -> list[str]:
    """The threads of the conductor that have committed, one by one."""
    threads: list[str] = []

    def note(conn: Any) -> None:
        name = threading.current_thread().name
        if name.startswith(("worker", "bus-")):
            threads.append(name)

    event.listen(scene.store.engine, "commit", note)
    return threads


def test_a_stage_costs_few_statements(scene: Any, counted: list[str], committed: list[str]) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = scene.node("enroll")
    for verb, state in (
        ("manage", "manageable"),
        ("inspect", "manageable"),
        ("provide", "available"),
        ("active", "active"),
        ("rebuild", "active"),
        ("deleted", "available"),
    ):
        counted.clear()
        committed.clear()
        scene.provision(node_id, verb)
        scene.until(
            node_id, lambda n, state=state: n.provision_state == state and n.operation_id is None
        )
        assert len(counted) <= STAGE * STAGES[verb], "\n".join([verb, *counted])
        # Begun, ended, and of "deleted" also: its disks' turn.
        assert len(committed) <= (3 if verb == "deleted" else 2), verb


def test_what_has_nothing_to_do_is_one_transaction(
    scene: Any, counted: list[str], committed: list[str]
) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000, automated_clean=False)
    node_id = scene.node("manageable")
    scene.provision(node_id, "provide")
    # It has ended when it is accepted: no worker has to take it up.
    node = scene.get(node_id)
    assert (node.provision_state, node.operation_id, node.lease_owner) == ("available", None, None)
    # Over a broker, who takes calls has no name: what is counted there are workers.
    assert len(committed) == (0 if buses.BROKER else 1)
    assert len(counted) <= 8 + databases.ASKS_FIRST, "\n".join(counted)
    with scene.store.read() as session:
        query = select(Event.message).where(Event.kind == "state").order_by(Event.id)
        told = session.scalars(query).all()
    assert told == ["manageable -> cleaning", "cleaning -> available"]


def test_switching_the_power_costs_few_statements(
    scene: Any, counted: list[str], committed: list[str]
) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    node_id = scene.node("manageable")
    for target in ("power on", "power off"):
        counted.clear()
        committed.clear()
        scene.bus.call("conductor", "power", node_id=node_id, target=target)
        scene.until(
            node_id, lambda n, target=target: n.power_state == target and n.operation_id is None
        )
        assert len(counted) <= STAGE, "\n".join([target, *counted])
        assert len(committed) <= 2, target


def test_five_hundred_deployments_at_once_take_no_thread_each(scene: Any) -> None:
    scene.start(
        heartbeat_interval=1000,
        sweep_interval=1000,
        workers=32,
        max_concurrent_deploy=500,
        fake_delays={"deploy": (3600.0, 3600.0)},
    )
    with scene.store.write() as session:
        nodes = [
            Node(
                uuid=new_uuid(),
                driver="fake-hardware",
                provision_state="available",
                created_at=scene.store.clock.now(),
            )
            for _ in range(500)
        ]
        session.add_all(nodes)
        session.flush()
        ids = [node.id for node in nodes]
    before = threading.active_count()
    for node_id in ids:
        scene.provision(node_id, "active")
    with scene.store.read() as session:
        under_way = select(func.count()).where(
            Node.provision_state == "deploying", Node.lease_owner.is_not(None)
        )
        assert session.execute(under_way).scalar_one() == 500
    # The workers, and those who take the calls; not one more for each that waits.
    assert threading.active_count() - before <= scene.settings.workers + TAKERS
