"""An allocation whose nodes were all held when it was made: a conductor tries it again."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from drophammer import allocations
from drophammer.model import Node
from drophammer.rows import Row
from tests.patience import PATIENCE


@pytest.fixture
def held(scene: Any) -> int:
    expires = scene.store.clock.now() + datetime.timedelta(hours=1)
    return int(
        scene.node(
            "available",
            resource_class="big",
            power_state="power off",
            lease_owner="somebody",
            lease_host="else",
            lease_expires=expires,
        )
    )


@pytest.fixture
def waiting(scene: Any, held: int) -> str:
    with scene.store.write() as session:
        wanted = {"resource_class": "big", "traits": []}
        made = allocations.create(session, wanted, scene.store.clock.now())
    assert made["state"] == "allocating"
    return str(made["uuid"])


def until(scene: Any, uuid: str, wanted: Callable[[Row], bool]) -> Row:
    end = time.monotonic() + PATIENCE
    while True:
        with scene.store.read() as session:
            row = allocations.ALLOCATIONS.find(session, uuid, {"state", "last_error", "node_uuid"})
        if wanted(row):
            return row
        assert time.monotonic() < end, row
        time.sleep(0.005)


def test_it_gets_the_node_as_soon_as_that_is_free(scene: Any, held: int, waiting: str) -> None:
    scene.start(locked_interval=0.02, locked_attempts=500)
    with scene.store.write() as session:
        session.execute(update(Node).where(Node.id == held).values(lease_owner=None))
    found = until(scene, waiting, lambda row: row["state"] != "allocating")
    assert (found["state"], found["node_uuid"]) == ("active", scene.get(held).uuid)


def test_it_fails_with_a_reason_when_the_node_is_held_too_long(scene: Any, waiting: str) -> None:
    scene.start(locked_interval=0.02, locked_attempts=3)
    found = until(scene, waiting, lambda row: row["state"] != "allocating")
    assert found["state"] == "error"
    assert "held by somebody" in found["last_error"]


def test_an_undeployed_node_has_no_allocation_any_more(scene: Any) -> None:
    scene.start()
    node_id = scene.node("available", resource_class="big", power_state="power off")
    with scene.store.write() as session:
        wanted = {"resource_class": "big", "traits": []}
        made = allocations.create(session, wanted, scene.store.clock.now())
    for verb, state in (("active", "active"), ("deleted", "available")):
        scene.provision(node_id, verb)
        node = scene.until_state(node_id, state)
    assert (node.allocation_uuid, node.instance_uuid) == (None, None)
    with scene.store.read() as session:
        assert allocations.ALLOCATIONS.count(session, {"state": "active"}) == 0
    assert made["node_uuid"] == node.uuid
