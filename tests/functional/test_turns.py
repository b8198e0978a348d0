"""Threads of one process that write to sqlite: one after the other, and nobody for ever."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select, update

from drophammer.model import Node
from drophammer.store import Store
from drophammer.turns import Turns
from tests.patience import PATIENCE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    # Sqlite, whatever the other tests run on: servers let threads write at the same time.
    store = Store(f"sqlite:///{tmp_path}/x.sqlite")
    store.migrate()
    yield store
    store.close()


def rename(store: Store) -> None:
    with store.write() as session:
        session.execute(update(Node).values(name="b"))


def test_who_waits_for_another_thread_does_not_ask_the_database_meanwhile(store: Store) -> None:
    asked: list[str] = []
    here = threading.get_ident()

    def note(conn: object, cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() != here:
            asked.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with store.write() as session:
            session.execute(update(Node).values(name="a"))
            other = pool.submit(rename, store)
            assert concurrent.futures.wait([other], timeout=0.05).not_done
            assert asked == []
        other.result(PATIENCE)
    assert asked[0] == "BEGIN IMMEDIATE"


def test_a_turn_is_given_back_by_what_fails(store: Store) -> None:
    def fail() -> None:
        with store.write() as session:
            session.execute(select(Node.id))
            raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            fail()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(rename, store).result(PATIENCE)


def test_a_turn_that_does_not_end_is_waited_for_no_longer_than_the_database(store: Store) -> None:
    turns = Turns(store.engine, patience=0.01)
    with turns.take(), turns.take():
        pass
    with turns.take():
        pass
