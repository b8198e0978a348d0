"""Rows past SQLAlchemy: the same rows, and the same failures, as with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import OperationalError

from drophammer import direct, nodes
from drophammer.errors import NotFound
from drophammer.model import Node
from drophammer.rows import NODES, mapped
from drophammer.store import Store
from drophammer.stored import as_stored
from tests.databases import only_sqlite

pytestmark = only_sqlite

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
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/direct.sqlite")
    opened.migrate()
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


def test_a_failure_is_told_as_sqlalchemy_tells_it(store) -> None:
    query = select(Node.__table__.c.id).where(NODES.c.name == bindparam("ident"))
    with store.write() as session:
        session.execute(text("ALTER TABLE nodes RENAME TO others"))
    with pytest.raises(OperationalError), store.ask() as connection:
        direct.rows(connection, query, {"ident": "full"})
