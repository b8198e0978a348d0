"""One request is one operation, however often and however late it comes."""

from __future__ import annotations

import datetime
import sqlite3
import threading
from typing import Any

import pytest
from sqlalchemy import event, func, select

from conductor.begin import begin
from drophammer.bus_answer import Request, answer
from drophammer.model import Operation, new_uuid
from tests.databases import only_sqlite
from tests.patience import PATIENCE

FAKE = {"power": (0.3, 0.3)}
REBOOT = {"target": "rebooting"}


def operations(scene: Any) -> int:
    with scene.store.read() as session:
        found: int = session.scalar(select(func.count()).select_from(Operation))
        return found


@pytest.mark.parametrize(
    ("state", "method", "arguments"),
    [
        ("manageable", "power", REBOOT),
        ("manageable", "provision", {"target": "provide", "request": {}}),
        ("enroll", "provision", {"target": "manage", "request": {}}),
    ],
)
def test_a_request_that_comes_again_is_accepted_again_and_done_once(
    scene: Any, state: str, method: str, arguments: dict[str, Any]
) -> None:
    service = scene.start(fake_delays=FAKE).service
    node_id = scene.node(state)
    request = Request(new_uuid())
    told = {"node_id": node_id, **arguments}
    # While it is worked on, and when that has ended.
    for _ in range(3):
        assert answer(service, method, told, request) == {"result": None}
    scene.until(node_id, lambda node: node.target_power_state is None)
    for _ in range(2):
        given = answer(service, method, told, request)
        # A node that has moved on meanwhile may also say so.
        assert given == {"result": None} or given["error"] == "InvalidState"
    assert operations(scene) == 1


def test_two_who_get_one_request_at_the_same_time_begin_it_once(scene: Any) -> None:
    service = scene.start(fake_delays=FAKE).service
    node_id = scene.node("manageable")
    request = Request(new_uuid())
    given: list[dict[str, Any]] = []

    def take() -> None:
        given.append(answer(service, "power", {"node_id": node_id, **REBOOT}, request))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [{"result": None}] * 6
    assert operations(scene) == 1


def test_two_requests_are_two_operations(scene: Any) -> None:
    service = scene.start().service
    node_id = scene.node("manageable")
    for _ in range(2):
        told = answer(service, "power", {"node_id": node_id, **REBOOT}, Request(new_uuid()))
        assert told == {"result": None}
        scene.until(node_id, lambda node: node.target_power_state is None)
    assert operations(scene) == 2


def test_a_request_that_comes_too_late_changes_nothing(scene: Any) -> None:
    service = scene.start().service
    node_id = scene.node("manageable")
    past = scene.store.clock.now() - datetime.timedelta(seconds=0.5)
    before = scene.get(node_id).fence
    told = answer(service, "power", {"node_id": node_id, **REBOOT}, Request(new_uuid(), past))
    assert told["error"] == "Unavailable"
    assert "nothing has been done" in told["message"]
    assert operations(scene) == 0
    assert scene.get(node_id).lease_owner is None
    assert scene.get(node_id).fence == before


def test_what_nobody_asked_for_over_the_bus_gets_a_uuid_of_its_own(scene: Any) -> None:
    process = scene.start()
    for _ in range(2):
        node_id = scene.node("manageable")
        task = begin(
            process.box,
            node_id,
            verb="power on",
            flow="power",
            event=None,
            request={"target": "power on"},
            check=lambda node: {},
        )
        assert task.operation.uuid
    assert operations(scene) == 2


class LostAnswers:
    """Loses the answers to this thread's next ``lost`` COMMITs; then ``down`` statements fail."""

    def __init__(self, monkeypatch: Any, store: Any, *, lost: int, down: int = 0) -> None:
        dialect = store.engine.dialect
        self._commit, self._execute = dialect.do_commit, dialect.do_execute
        self._lost, self._down, self._thread = lost, down, threading.get_ident()
        # COMMITs that fail: nothing is written.
        self.refused = 0
        monkeypatch.setattr(dialect, "do_commit", self.commit)
        monkeypatch.setattr(dialect, "do_execute", self.execute)

    def commit(self, connection: Any) -> None:
        if self.refused and threading.get_ident() == self._thread:
            self.refused -= 1
            raise sqlite3.OperationalError("disk I/O error")
        self._commit(connection)
        if self._lost and threading.get_ident() == self._thread:
            self._lost -= 1
            raise sqlite3.OperationalError("disk I/O error")

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if self._down and not self._lost and threading.get_ident() == self._thread:
            self._down -= 1
            raise sqlite3.OperationalError("disk I/O error")
        self._execute(cursor, statement, parameters, context)


@only_sqlite
def test_an_operation_whose_commit_got_no_answer_is_gone_on_with_at_once(
    scene: Any, monkeypatch: Any
) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    service, node_id = scene.process.service, scene.node("manageable")
    LostAnswers(monkeypatch, scene.store, lost=1)
    told = answer(service, "power", {"node_id": node_id, **REBOOT}, Request(new_uuid()))
    assert told == {"result": None}
    node = scene.until(node_id, lambda node: node.target_power_state is None)
    assert (node.power_state, node.last_error) == ("power on", None)
    assert operations(scene) == 1


@only_sqlite
def test_what_had_nothing_to_do_and_got_no_answer_to_its_commit_is_accepted(
    scene: Any, monkeypatch: Any
) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000, automated_clean=False)
    service, node_id = scene.process.service, scene.node("manageable")
    LostAnswers(monkeypatch, scene.store, lost=1)
    arguments = {"node_id": node_id, "target": "provide", "request": {}}
    assert answer(service, "provision", arguments, Request(new_uuid())) == {"result": None}
    node = scene.get(node_id)
    assert (node.provision_state, node.lease_owner) == ("available", None)
    assert operations(scene) == 1


@only_sqlite
@pytest.mark.parametrize(
    ("method", "arguments"),
    [("provision", {"target": "provide", "request": {}}), ("power", REBOOT)],
)
def test_who_gets_the_node_after_a_commit_that_failed_is_not_taken_for_it(
    scene: Any, monkeypatch: Any, method: str, arguments: dict[str, Any]
) -> None:
    # Its lease looks like the one that was taken back: the same process, the same fence.
    delays = {"inspect": (PATIENCE, PATIENCE)}
    scene.start(
        heartbeat_interval=1000, sweep_interval=1000, automated_clean=False, fake_delays=delays
    )
    service, node_id = scene.process.service, scene.node("manageable")
    answers: list[dict[str, Any]] = []

    def inspect() -> None:
        told = {"node_id": node_id, "target": "inspect", "request": {}}
        answers.append(answer(service, "provision", told, Request(new_uuid())))

    failing = LostAnswers(monkeypatch, scene.store, lost=0)
    failing.refused = 1

    @event.listens_for(scene.store.engine, "before_cursor_execute")
    def overtake(_c: Any, _u: Any, text: str, *_: Any) -> None:
        # Who got no answer looks after his lease.
        if not answers and text.startswith("UPDATE nodes SET lease_purpose=nodes.lease_purpose"):
            other = threading.Thread(target=inspect)
            other.start()
            other.join(PATIENCE)

    told = answer(service, method, {"node_id": node_id, **arguments}, Request(new_uuid()))
    assert answers == [{"result": None}]
    assert told["error"] == "Unavailable"
    assert operations(scene) == 1
    node = scene.get(node_id)
    assert (node.provision_state, node.lease_purpose) == ("inspecting", "inspect")


@only_sqlite
def test_where_the_database_cannot_say_the_node_is_given_back(scene: Any, monkeypatch: Any) -> None:
    scene.start(heartbeat_interval=0.1, sweep_interval=1000, retry_seconds=0.05)
    service, node_id, request = scene.process.service, scene.node("manageable"), Request(new_uuid())
    arguments = {"node_id": node_id, **REBOOT}
    LostAnswers(monkeypatch, scene.store, lost=1, down=1)
    assert answer(service, "power", arguments, request)["error"] == "Unavailable"
    # Who asks again with the same request is told that it is accepted.
    assert answer(service, "power", arguments, request) == {"result": None}
    node = scene.until(node_id, lambda node: node.target_power_state is None)
    assert (node.power_state, node.last_error) == ("power on", None)
    assert operations(scene) == 1


@only_sqlite
def test_what_was_not_committed_is_refused_and_holds_nothing(scene: Any, monkeypatch: Any) -> None:
    scene.start(heartbeat_interval=1000, sweep_interval=1000)
    service, node_id = scene.process.service, scene.node("manageable")
    LostAnswers(monkeypatch, scene.store, lost=0, down=1)
    told = answer(service, "power", {"node_id": node_id, **REBOOT}, Request(new_uuid()))
    assert told["error"] == "Unavailable"
    assert (operations(scene), scene.get(node_id).lease_owner) == (0, None)
