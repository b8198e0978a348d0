"""Heartbeats that come together: written together, each answered by what became of it."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from api.beats import Beat, Beats, Noted
from drophammer import agents
from drophammer.errors import Invalid, NotFound
from drophammer.events import of_node
from drophammer.model import Agent, Node, new_uuid
from tests.databases import ASKS_FIRST
from tests.patience import PATIENCE, until

URL = "https://192.0.2.9:9999"


@pytest.fixture
def beats(store, bus) -> Beats:
    return Beats(store, bus)


@pytest.fixture
def fleet(store) -> list[str]:
    """Ten nodes that wait for their ramdisks, which have their tokens."""
    uuids = [new_uuid() for _ in range(10)]
    with store.write() as session:
        for uuid in uuids:
            node = Node(
                uuid=uuid,
                name=f"n-{uuid[:8]}",
                driver="fake-hardware",
                provision_state="clean wait",
                created_at=store.clock.now(),
            )
            session.add(node)
            session.flush()
            agents.give_token(session, node.id, uuid, known=False)
    return uuids


def beat(uuid: str, **changes: Any) -> Beat:
    return Beat(**{"ident": uuid, "token": uuid, "url": URL, "version": "1", **changes})


def rows(store) -> dict[str, Agent]:
    with store.read() as session:
        query = select(Node.uuid, Agent).join(Agent, Agent.node_id == Node.id)
        return {row[0]: row[1] for row in session.execute(query)}


def written_together(store, beats: Beats, first: str, coming: list[Beat]) -> list[Noted]:
    """What became of beats that came while the one of ``first`` was being written."""
    begun, go_on = threading.Event(), threading.Event()

    def asked(*_: object) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    event.listen(store.engine, "before_cursor_execute", asked)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        head = pool.submit(beats.note, beat(first))
        assert begun.wait(PATIENCE)
        answers = [pool.submit(beats.note, one) for one in coming]
        until(lambda: beats.waiting() == len(coming), pause=0.001)
        go_on.set()
        assert head.result(PATIENCE).refusal is None
        return [answer.result(PATIENCE) for answer in answers]


def test_beats_that_come_while_one_is_written_are_one_commit(store, beats, fleet, sql) -> None:
    found = written_together(store, beats, fleet[0], [beat(uuid) for uuid in fleet[1:]])
    assert [one.refusal for one in found] == [None] * 9
    assert sql.commits == 2
    assert sql.count <= 8 + 2 * ASKS_FIRST
    assert {agent.beats for agent in rows(store).values()} == {1}


def test_the_conductor_is_told_once_of_all_that_wait(store, beats, fleet, conductor) -> None:
    ids = {uuid: agent.node_id for uuid, agent in rows(store).items()}
    with store.write() as session:
        gone_on = update(Node).where(Node.uuid == fleet[1]).values(provision_state="cleaning")
        session.execute(gone_on)
    progress = {"done": 1}
    coming = [beat(fleet[1]), beat(fleet[2], progress=progress), beat(fleet[3]), beat(fleet[4])]
    written_together(store, beats, fleet[0], coming)
    told = [conductor.next() for _ in range(2)]
    assert {method for method, _ in told} == {"heartbeats"}
    # Which group's writer gets to telling it first is not said.
    together = sorted(sorted(arguments["node_ids"]) for _, arguments in told)
    assert together == [[ids[fleet[0]]], [ids[fleet[3]], ids[fleet[4]]]]


def test_each_is_answered_for_itself(store, beats, fleet) -> None:
    coming = [
        beat(fleet[1]),
        beat(fleet[2], token="x" * 36),
        beat(new_uuid()),
        beat("nobody"),
        beat(f"n-{fleet[3][:8]}", token=fleet[3]),
    ]
    found = written_together(store, beats, fleet[0], coming)
    assert [type(one.refusal) for one in found] == [
        type(None),
        Invalid,
        NotFound,
        NotFound,
        type(None),
    ]
    heard = {uuid for uuid, agent in rows(store).items() if agent.beats}
    assert heard == {fleet[0], fleet[1], fleet[3]}


def test_two_agents_of_one_node_are_told_apart_in_one_batch(store, beats, fleet) -> None:
    other = "https://192.0.2.10:9999"
    coming = [beat(fleet[1]), beat(fleet[1], url=other), beat(fleet[1])]
    found = written_together(store, beats, fleet[0], coming)
    assert sum(one.refusal is None for one in found) in (1, 2)  # As they came to be queued.
    agent = rows(store)[fleet[1]]
    assert (agent.beats, agent.url) in ((2, URL), (1, other))
    with store.read() as session:
        kinds = [one.kind for one in of_node(session, agent.node_id, 0, 9)]
    assert kinds == ["heartbeat"]


def test_what_cannot_be_written_takes_no_other_beat_with_it(store, beats, fleet) -> None:
    unwritable = beat(fleet[2], version="\ud800")
    found = written_together(store, beats, fleet[0], [beat(fleet[1]), unwritable, beat(fleet[3])])
    assert [one.refusal is None for one in found] == [True, False, True]
    assert {uuid for uuid, agent in rows(store).items() if agent.beats} == {
        fleet[0],
        fleet[1],
        fleet[3],
    }


def test_no_beat_is_accepted_that_was_not_committed(store, beats, fleet) -> None:
    def away(*_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("the disk is full"))

    event.listen(store.engine, "commit", away)
    noted = beats.note(beat(fleet[0]))
    event.remove(store.engine, "commit", away)
    assert isinstance(noted.refusal, OperationalError)
    assert not noted.waits
    assert beats.note(beat(fleet[0])).refusal is None
    assert rows(store)[fleet[0]].beats == 1


def test_a_database_that_is_away_is_asked_twice_and_not_once_per_beat(store, beats, fleet) -> None:
    tried = []

    def away(*_: object) -> None:
        tried.append(1)
        raise OperationalError("COMMIT", {}, Exception("the server has gone away"))

    commits = []

    def count(_: object) -> None:
        commits.append(1)
        if len(commits) > 1:
            away()

    event.listen(store.engine, "commit", count)
    found = written_together(store, beats, fleet[0], [beat(uuid) for uuid in fleet[1:]])
    event.remove(store.engine, "commit", count)
    assert all(isinstance(one.refusal, OperationalError) for one in found)
    assert len(tried) == 2
    assert sum(agent.beats for agent in rows(store).values()) == 1


def test_a_node_that_is_rebooted_meanwhile_is_told_so(store, beats, fleet) -> None:
    def reboot(conn: Any, clause: Any, *_: Any) -> None:
        if getattr(clause, "is_update", False) and clause.table.name == "agents":
            conn.exec_driver_sql("UPDATE agents SET token = 'of the next ramdisk'")

    event.listen(store.engine, "before_execute", reboot)
    noted = beats.note(beat(fleet[0]))
    assert isinstance(noted.refusal, Invalid)
    assert "rebooted" in str(noted.refusal)
    # The transaction, and with it what the test did in it, has left nothing.
    assert {agent.beats for agent in rows(store).values()} == {0}


def test_no_beat_of_many_is_lost(store, beats, fleet) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(beats.note, [beat(uuid) for uuid in fleet * 20]))
    assert all(one.refusal is None for one in found)
    assert {agent.beats for agent in rows(store).values()} == {20}
    assert beats.waiting() == 0
