"""A node that somebody holds: 409 for every client, which each takes for "try again"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from openstack import exceptions
from sqlalchemy import select

from drophammer.model import Node
from drophammer.store import Holder, Store
from tests.contract.api.cli import Baremetal, Complaint
from tests.contract.api.gopher import Busy, Gopher
from tests.contract.api.service import Service

pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]
LOCKED = "is locked by host conductor-7, please retry after the current operation is completed"


@contextmanager
def held(service: Service, uuid: str) -> Iterator[None]:
    """Let another conductor hold a node."""
    store = Store(f"sqlite:///{service.folder}/state/drophammer.sqlite")
    try:
        with store.write() as session:
            found = session.scalars(select(Node.id).where(Node.uuid == uuid)).one()
            lease = store.reserve(session, found, Holder("other", "conductor-7"), "testing")
        yield
        with store.write() as session:
            store.release(session, lease)
    finally:
        store.close()


@pytest.fixture(scope="module")
def gopher(noauth: Service) -> Iterator[Gopher]:
    made = Gopher(noauth)
    yield made
    made.close()


@pytest.fixture
def locked(noauth: Service, gopher: Gopher) -> Iterator[str]:
    uuid = gopher.call("POST", "/nodes", {"driver": "fake-hardware"}).body["uuid"]
    with held(noauth, uuid):
        yield uuid
    # Free again, it takes what it refused before.
    gopher.patch(uuid, ("add", "/extra/after", True))
    gopher.call("DELETE", f"/nodes/{uuid}")


def test_a_change_is_put_off(gopher: Gopher, locked: str) -> None:
    with pytest.raises(Busy, match=LOCKED):
        gopher.patch(locked, ("add", "/extra/a", 1))
    assert gopher.node(locked)["extra"] == {}


def test_a_verb_is_put_off(gopher: Gopher, locked: str) -> None:
    path = f"/nodes/{locked}/states/provision"
    with pytest.raises(Busy, match=LOCKED):
        gopher.call("PUT", path, {"target": "manage"})
    # What the node could not do either when it is free is still called busy.
    with pytest.raises(Busy, match=LOCKED):
        gopher.call("PUT", path, {"target": "provide"})


def test_what_is_only_read_is_answered(gopher: Gopher, locked: str) -> None:
    assert gopher.node(locked)["reservation"] == "conductor-7"
    assert gopher.get(f"/nodes/{locked}/validate")["power"]["result"] is True
    assert "boot_device" in gopher.get(f"/nodes/{locked}/management/boot_device")
    assert gopher.get(f"/nodes/{locked}/traits") == {"traits": []}


def test_openstacksdk_knows_a_conflict(noauth: Service, connect, locked: str) -> None:
    with pytest.raises(exceptions.ConflictException, match=LOCKED):
        connect(noauth).update_node(locked, retry_on_conflict=False, extra={"a": 1})


def test_the_command_shows_who_holds_it(noauth: Service, locked: str) -> None:
    baremetal = Baremetal(noauth.environment)
    with pytest.raises(Complaint, match=LOCKED):
        baremetal(f"--max-retries 1 node set {locked} --extra a=b")
