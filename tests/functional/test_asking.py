"""Single questions, on real sqlite files: a thread keeps its connection and misses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from drophammer.model import Node, new_uuid
from drophammer.store import Store
from tests.databases import copied, only_sqlite

pytestmark = only_sqlite

NODES = Node.metadata.tables["nodes"]


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    opened = copied(empty_database, tmp_path / "asked.sqlite")
    yield opened
    opened.close()


def count(store: Store) -> int:
    with store.ask() as connection:
        return int(connection.execute(select(func.count()).select_from(NODES)).scalar_one())


def add(store: Store) -> None:
    with store.write() as session:
        session.add(
            Node(
                uuid=new_uuid(),
                driver="fake-hardware",
                provision_state="enroll",
                created_at=store.clock.now(),
            )
        )


def test_a_thread_keeps_its_connection_and_sees_what_was_written_since(store) -> None:
    with store.ask() as first:
        pass
    assert count(store) == 0
    add(store)
    assert count(store) == 1
    with store.ask() as again:
        assert again is first


def test_threads_do_not_share_connections(store) -> None:
    seen = []

    def ask() -> None:
        with store.ask() as connection:
            seen.append(connection)

    with store.ask() as mine:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert seen[0] is not mine


def test_a_connection_that_failed_is_not_used_again(store) -> None:
    with pytest.raises(OperationalError), store.ask() as broken:
        broken.execute(text("SELECT * FROM nowhere"))
    with store.ask() as connection:
        assert connection is not broken
    assert count(store) == 0


def test_a_reader_holds_up_no_writer_and_a_writer_no_reader(store) -> None:
    with store.ask() as connection:
        connection.execute(select(NODES)).all()
        add(store)
    with store.write() as session:
        session.execute(NODES.delete())
        assert count(store) == 1
    assert count(store) == 0


def test_closing_gives_all_connections_back(store) -> None:
    with store.ask() as kept:
        pass
    store.close()
    assert kept.closed
