"""Statements past SQLAlchemy: the same rows, and the same failures, as with it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, event, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from drophammer import direct, nodes
from drophammer.errors import NotFound
from drophammer.model import Event, Step
from drophammer.rows import NODES, mapped
from drophammer.store import Store
from drophammer.stored import as_stored
from tests.databases import copied, only_sqlite

EVENTS: Any = Event.__table__
STEPS: Any = Step.__table__
BY_NAME = select(NODES).where(NODES.c.name == bindparam("ident"))
UUID = "00000000-0000-4000-8000-000000000001"
FULL: dict[str, Any] = {
    "uuid": UUID,
    "name": "full",
    "driver": "fake-hardware",
    "provision_state": "active",
    "driver_info": {"ipmi_address": "192.0.2.1", "list": [1, None, "ü"]},
    "extra": {"rack": 7},
    "maintenance": True,
    "secure_boot": False,
    "automated_clean": None,
    "fence": 2**40,
}


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    opened = copied(empty_database, tmp_path / "direct.sqlite")
    now = opened.clock.now()
    with opened.write() as session:
        nodes.create(session, {**FULL, "created_at": now, "lease_since": now})
    yield opened
    opened.close()


@pytest.mark.parametrize("stored", [frozenset(), frozenset({"extra", "properties"})])
def test_rows_are_as_sqlalchemy_reads_them(store, stored) -> None:
    columns = [as_stored(column) if column.name in stored else column for column in NODES.c]
    query = select(*columns).where(NODES.c.name == bindparam("ident"))
    with store.ask() as connection:
        found = direct.rows(connection, query, {"ident": "full"})
        (usual,) = mapped(connection.execute(query, {"ident": "full"}))
    for fragment in stored:
        assert type(found[0].pop(fragment)) is type(usual.pop(fragment))
    assert found == [usual]
    assert {name: type(value) for name, value in found[0].items()} == {
        name: type(value) for name, value in usual.items()
    }


def test_a_node_is_found_with_all_its_columns(store) -> None:
    wanted = nodes.COLUMNS | nodes.AGENT_COLUMNS | {"traits"}
    with store.ask() as connection, store.read() as session:
        assert nodes.find(connection, UUID, wanted) == nodes.find(session, UUID, wanted)


def test_what_is_not_there_is_not_found(store) -> None:
    with store.ask() as connection:
        for ident in ("nobody", "00000000-0000-4000-8000-000000000002"):
            with pytest.raises(NotFound):
                nodes.find(connection, ident, {"name"})


def test_a_change_is_seen_at_once(store) -> None:
    for name in ("first", "second"):
        with store.write() as session:
            nodes.change(session, 1, {"name": name})
        with store.ask() as connection:
            assert nodes.find(connection, UUID, {"name"})["name"] == name


def told(number: int, **values: Any) -> dict[str, Any]:
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC)
    return {
        "node_id": 1,
        "at": moment + datetime.timedelta(seconds=number),
        "source": "test",
        "kind": "state",
        "message": f"{number} % of ümlauts: %s %(no)s",
        "data": {"number": number, "none": None},
        **values,
    }


@pytest.mark.parametrize("count", [0, 1, direct.TOGETHER, 2 * direct.TOGETHER + 1])
def test_rows_that_are_added_are_those_that_sqlalchemy_would_have_added(store, count) -> None:
    rows = [told(number, node_id=None if number % 2 else 1) for number in range(count)]
    with store.write() as session:
        direct.insert_all(session, EVENTS, rows)
        if rows:
            session.execute(insert(EVENTS), rows)
    with store.ask() as connection:
        found = mapped(connection.execute(select(EVENTS).order_by(EVENTS.c.id)))
    for row in found:
        del row["id"]
    assert found == rows + rows


def test_a_change_tells_of_how_many_rows_it_is(store) -> None:
    change = update(NODES).where(NODES.c.name == bindparam("called")).values(extra=bindparam("to"))
    with store.write() as session:
        for name, count in (("full", 1), ("nobody", 0)):
            assert direct.changed(session, change, {"called": name, "to": {"a": [1]}}) == count
    with store.ask() as connection:
        assert nodes.find(connection, UUID, {"extra"})["extra"] == {"a": [1]}


def test_what_an_insert_returns_is_told(store) -> None:
    query = insert(EVENTS).returning(EVENTS.c.id, EVENTS.c.at, EVENTS.c.data)
    with store.write() as session:
        [first] = direct.rows(session, query, told(1))
        [second] = direct.rows(session, query, told(2))
    assert second["id"] > first["id"]
    assert {**told(1), **first} == {**told(1), "id": first["id"]}


def test_what_a_statement_always_says_need_not_be_told(store) -> None:
    query = select(func.count().label("found")).where(
        NODES.c.driver == "fake-hardware",
        NODES.c.maintenance.is_(True),
        or_(NODES.c.created_at > datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)),
        NODES.c.name == bindparam("called"),
    )
    with store.ask() as connection:
        assert direct.rows(connection, query, {"called": "full"}) == [{"found": 1}]


def test_statements_that_are_only_complete_when_they_are_run_are_refused(store) -> None:
    several = select(NODES.c.id).where(NODES.c.name.in_(bindparam("names", expanding=True)))
    with store.write() as session:
        with pytest.raises(ValueError, match="only known when it is run"):
            direct.rows(session, several, {"names": ["full"]})
        with pytest.raises(ValueError, match="only known when it is run"):
            direct.changed(session, insert(NODES), {"uuid": "u", "driver": "x"})  # It has defaults.


def test_what_is_not_given_a_value_is_refused(store) -> None:
    with store.write() as session:
        with pytest.raises(ValueError, match="no value for ident"):
            direct.rows(session, BY_NAME, {})
        lacking = {name: value for name, value in told(2).items() if name != "data"}
        for rows in ([told(1), lacking], [lacking, told(1)]):
            with pytest.raises(ValueError, match="different columns"):
                direct.insert_all(session, EVENTS, rows)


def test_a_value_that_cannot_be_written_is_no_failure_of_the_database(store) -> None:
    def work(**values: Any) -> None:
        with store.write() as session:
            direct.insert_all(session, EVENTS, [told(1, **values)])

    with pytest.raises(UnicodeEncodeError):
        work(message="half a \ud83d")
    with pytest.raises(TypeError):
        work(data={"cannot": object()})
    work()
    with store.ask() as connection:
        assert connection.execute(select(func.count()).select_from(EVENTS)).scalar_one() == 1


@only_sqlite
def test_a_failure_while_rows_are_read_is_one_of_the_database(store) -> None:
    with store.write() as session:
        session.execute(text("UPDATE nodes SET description = CAST(x'ff' AS TEXT)"))
    with pytest.raises(OperationalError), store.ask() as connection:
        direct.rows(connection, BY_NAME, {"ident": "full"})


def test_who_listens_to_the_engine_hears_of_them(store) -> None:
    heard: list[str] = []
    for name in ("before_cursor_execute", "after_cursor_execute"):
        event.listen(store.engine, name, lambda _c, _u, text, *_, name=name: heard.append(name))
    with store.ask() as connection:
        direct.rows(connection, BY_NAME, {"ident": "full"})
    assert heard == ["before_cursor_execute", "after_cursor_execute"]


def test_a_row_that_must_not_be_is_told_as_sqlalchemy_tells_it_and_nothing_is_left(store) -> None:
    step = dict.fromkeys(("error", "started_at", "finished_at")) | {
        "operation_id": 999_999,
        "position": 0,
        "interface": "deploy",
        "step": "x",
        "priority": 0,
        "source": "driver",
        "args": {},
        "abortable": False,
        "reboot_requested": False,
        "state": "pending",
        "cursor": {},
        "result": {},
    }

    def work() -> None:
        with store.write() as session:
            direct.insert_all(session, EVENTS, [told(1)])
            direct.insert_all(session, STEPS, [step])

    with pytest.raises(IntegrityError):
        work()
    with store.ask() as connection:
        assert connection.execute(select(func.count()).select_from(EVENTS)).scalar_one() == 0
        assert direct.rows(connection, BY_NAME, {"ident": "full"})


def test_a_savepoint_takes_back_what_failed_and_the_rest_stands(store) -> None:
    with store.write() as session:
        direct.insert_all(session, EVENTS, [told(1)])
        with pytest.raises(IntegrityError), session.connection().begin_nested():
            direct.changed(
                session,
                insert(EVENTS),
                {**told(2), "id": 1, "message": None},
            )
        direct.insert_all(session, EVENTS, [told(3)])
    with store.ask() as connection:
        assert connection.execute(select(func.count()).select_from(EVENTS)).scalar_one() == 2


def test_a_failure_is_told_as_sqlalchemy_tells_it(store) -> None:
    with store.write() as session:
        session.execute(text("ALTER TABLE nodes RENAME TO others"))
    try:
        with pytest.raises((OperationalError, ProgrammingError)) as caught:  # noqa: SIM117
            with store.ask() as connection:
                direct.rows(connection, BY_NAME, {"ident": "full"})
        assert "full" not in str(caught.value)  # It may have been a password.
    finally:
        with store.write() as session:
            session.execute(text("ALTER TABLE others RENAME TO nodes"))
    with store.ask() as connection:
        assert direct.rows(connection, BY_NAME, {"ident": "full"})
