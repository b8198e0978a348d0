"""Moving from one database to another: every row of every table arrives, and work goes on."""

from __future__ import annotations

import datetime
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Connection, Float, Integer, LargeBinary, Table, insert, select

from drophammer import engines, schema
from drophammer.model import Base, UTCDateTime
from drophammer.store import Store
from embedded.dbcmd import main
from tests import databases
from tests.functional.embedded.work import (
    add_nodes,
    begin,
    check,
    much_at_work,
    take_no_time,
    take_time,
    until_done,
)

NOW = datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, datetime.UTC)
ROWS = 3


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Store]:
    """What a laboratory's service keeps in its state folder."""
    (tmp_path / "state").mkdir()
    store = Store(f"sqlite:///{tmp_path}/state/drophammer.sqlite")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def target(tmp_path: Path) -> str:
    databases.made(tmp_path / "new.sqlite")
    return databases.url_of(tmp_path / "new.sqlite")


def copied(lab: Store, target: str) -> int:
    source = lab.engine.url.render_as_string(hide_password=False)
    return main(["copy", "--from", source, "--to", target])


def test_every_column_of_every_table_arrives_as_it_was(lab: Store, target: str) -> None:
    with lab.write() as session:
        for table in Base.metadata.sorted_tables:
            for number in range(1, ROWS + 1):
                session.execute(insert(table).values(filled(table, number)))
    assert copied(lab, target) == 0
    right = engines.engine(target)
    try:
        with lab.engine.connect() as left, right.connect() as arrived:
            for table in Base.metadata.sorted_tables:
                rows = all_of(left, table)
                assert len(rows) == ROWS, table.name
                assert all_of(arrived, table) == rows, table.name
    finally:
        right.dispose()


def all_of(connection: Connection, table: Table) -> list[Any]:
    return list(connection.execute(select(table).order_by(*table.primary_key)))


def filled(table: Table, number: int) -> dict[str, Any]:
    """A row with something in every column; the last row has nothing where that may be."""
    return {
        column.name: None if number == ROWS and column.nullable else something(column, number)
        for column in table.columns
    }


def something(column: Any, number: int) -> Any:
    kind = column.type
    for key in column.foreign_keys:
        return something(key.column, number)
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, UTCDateTime):
        return NOW + datetime.timedelta(microseconds=number)
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Float):
        return number / 3
    if isinstance(kind, JSON):
        return {"é☃": [None, 1.5, {"deep": '\\n"'}], "": number}
    if isinstance(kind, LargeBinary):
        return bytes(range(256))
    text = f"{number} Ünïcode ☃ '%s \\x"
    return text[: getattr(kind, "length", None) or 99]


@pytest.mark.waits
def test_work_that_was_under_way_goes_on_in_the_new_database(
    lab: Store, target: str, serve: Any, config: Path
) -> None:
    take_time(config)
    nodes = add_nodes(lab)
    first = serve("--no-netboot")
    first.until("Ctrl-C stops it.")
    for uuid, (verb, more, _) in nodes.items():
        begin(first.url, uuid, verb, more)
    first.stop(signal.SIGTERM)
    assert much_at_work(lab)
    take_no_time(config)
    assert copied(lab, target) == 0
    config.write_text(f"{config.read_text()}\n[database]\nconnection = {target}\n")
    second = serve("--no-netboot")
    second.until("Ctrl-C stops it.")
    until_done(second.url, nodes)
    second.stop()
    moved = Store(target)
    check(moved)
    moved.close()


def test_what_a_service_works_on_is_not_copied(
    lab: Store, target: str, serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    serve("--no-netboot").until("Ctrl-C stops it.")
    assert copied(lab, target) == 1
    assert "is in use by process" in capsys.readouterr().err


def test_the_source_is_as_it_was(lab: Store, target: str) -> None:
    add_nodes(lab)
    before = rows(lab)
    assert copied(lab, target) == 0
    assert rows(lab) == before
    with lab.engine.connect() as connection:
        found, ours = schema.versions(connection)
    assert found == ours


def rows(store: Store) -> dict[str, list[Any]]:
    with store.engine.connect() as connection:
        return {table.name: all_of(connection, table) for table in Base.metadata.sorted_tables}
