"""UPDATEs that are made once: the same statement for the same columns, expressions among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from drophammer import prepared
from drophammer.model import Node, new_uuid
from drophammer.store import Store
from tests.databases import copied

NODES: Any = Node.__table__


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> Iterator[Store]:
    made = copied(empty_database, tmp_path / "prepared.sqlite")
    with made.write() as session:
        session.add_all(
            Node(
                uuid=new_uuid(),
                name=name,
                driver="ipmi",
                provision_state="enroll",
                created_at=made.clock.now(),
            )
            for name in ("one", "two")
        )
    yield made
    made.close()


def named(store: Store, name: str) -> Node:
    with store.read() as session:
        return session.scalars(select(Node).where(Node.name == name)).one()


def test_it_writes_the_rows_that_are_meant_and_tells_whether_there_were_any(store: Store) -> None:
    with store.write() as session:
        told = {"extra": {"rack": 1}, "last_error": None, "fence": 7}
        assert prepared.write(session, NODES, {"name": "one", "driver": "ipmi"}, told)
        assert not prepared.write(session, NODES, {"name": "one", "driver": "fake"}, told)
    assert (named(store, "one").extra, named(store, "one").fence) == ({"rack": 1}, 7)
    assert (named(store, "two").extra, named(store, "two").fence) == ({}, 0)


@pytest.mark.parametrize("fence", [Node.fence + 1, NODES.c.fence + 1])
def test_a_value_may_be_an_expression(store: Store, fence: Any) -> None:
    for _ in range(2):
        with store.write() as session:
            assert prepared.write(session, NODES, {"name": "one"}, {"fence": fence, "extra": {}})
    assert named(store, "one").fence == 2


def test_a_column_may_be_written_with_itself(store: Store) -> None:
    with store.write() as session:
        assert prepared.write(session, NODES, {"name": "two"}, {"driver": Node.driver})
    assert named(store, "two").driver == "ipmi"
