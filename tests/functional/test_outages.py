"""A database server that goes away, hangs, or is held up: told in words, soon, and got over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from api.app import create_app
from api.settings import Settings
from drophammer import engines, nodes, outage
from drophammer.bus import LocalBus
from drophammer.errors import DrophammerError, Invalid, Unavailable
from drophammer.model import Node, new_uuid
from drophammer.store import Store
from tests import databases
from tests.patience import AT_ONCE, PATIENCE
from tests.wire import Wire

pytestmark = databases.only_servers


@pytest.fixture
def path(tmp_path: Path, empty_database: Path) -> Path:
    databases.copied(empty_database, tmp_path / "x").close()
    return tmp_path / "x"


@pytest.fixture
def near(path: Path) -> Iterator[Store]:
    """The store without a wire that could be cut."""
    store = databases.opened(path)
    yield store
    store.close()


@pytest.fixture
def wire(path: Path) -> Iterator[Wire]:
    url = make_url(databases.url_of(path))
    assert url.host is not None
    assert url.port is not None
    wire = Wire(url.host, url.port)
    yield wire
    wire.close()


@pytest.fixture
def store(path: Path, wire: Wire) -> Iterator[Store]:
    url = make_url(databases.url_of(path)).set(port=wire.port)
    store = Store(url.render_as_string(hide_password=False))
    yield store
    wire.cut()
    store.close()


@pytest.fixture
def client(store: Store) -> Any:
    return create_app(Settings(), store, LocalBus()).test_client()


def node(store: Store) -> int:
    with store.write() as session:
        made = Node(
            uuid=new_uuid(), driver="x", provision_state="enroll", created_at=store.clock.now()
        )
        session.add(made)
        session.flush()
        return made.id


def failure(work: Any) -> DrophammerError:
    with pytest.raises(SQLAlchemyError) as caught:
        work()
    known = outage.told(caught.value)
    assert known is not None, caught.value
    return known


def write(store: Store, node_id: int, **values: Any) -> None:
    with store.write() as session:
        session.execute(update(Node).where(Node.id == node_id).values(**values))


def test_a_server_that_hangs_is_a_503_soon_and_works_again_when_it_does(
    client: Any, wire: Wire
) -> None:
    assert client.get("/v1/nodes").status_code == 200
    time.sleep(engines.FRESH_SECONDS)
    wire.freeze()
    for _ in range(2):
        began = time.monotonic()
        answer = client.get("/v1/nodes")
        assert answer.status_code == 503
        assert "The database did not answer in time" in answer.text
        assert time.monotonic() - began < AT_ONCE
    wire.thaw()
    assert client.get("/v1/nodes").status_code == 200


def test_a_server_that_is_killed_and_comes_back_costs_one_request(client: Any, wire: Wire) -> None:
    assert client.get("/v1/nodes").status_code == 200
    wire.refuse()
    wire.cut()
    for _ in range(3):
        began = time.monotonic()
        assert client.get("/v1/nodes").status_code == 503
        assert time.monotonic() - began < AT_ONCE
    wire.refuse(refusing=False)
    assert client.get("/v1/nodes").status_code == 200


@pytest.mark.parametrize("work", ["ask", "write"])
def test_of_connections_that_were_used_just_now_the_first_failure_is_the_only_one(
    store: Store, wire: Wire, work: str
) -> None:
    node_id = node(store)

    def ask(connections: int) -> None:
        with ExitStack() as several:
            for _ in range(connections):
                connection = several.enter_context(store.ask())
                assert nodes.find_all(connection, ["nobody"], {"id"}) == {}

    ask(6)
    write(store, node_id, description="before")
    wire.cut()
    with pytest.raises(SQLAlchemyError):
        ask(1) if work == "ask" else write(store, node_id, description="not")
    ask(6)
    write(store, node_id, description="after")


def test_connections_that_rested_while_the_server_was_restarted_cost_nothing(
    client: Any, wire: Wire
) -> None:
    assert client.get("/v1/nodes").status_code == 200
    wire.cut()
    time.sleep(engines.FRESH_SECONDS)
    assert client.get("/v1/nodes").status_code == 200


def test_what_is_cut_off_in_the_middle_leaves_nothing(
    store: Store, wire: Wire, near: Store
) -> None:
    node_id = node(store)

    def work() -> None:
        with store.write() as session:
            session.execute(update(Node).values(description="half"))
            wire.cut()
            session.execute(select(Node.id)).all()

    assert isinstance(failure(work), Unavailable)
    with near.read() as session:
        assert session.get_one(Node, node_id).description is None
    write(store, node_id, description="whole")


def test_a_process_that_stands_still_in_a_transaction_loses_it(near: Store) -> None:
    node_id = node(near)
    stopped, theirs_is_done = threading.Event(), threading.Event()
    ended: list[BaseException] = []

    def stand_still() -> None:
        try:
            with near.write() as session:
                session.execute(update(Node).values(description="mine"))
                stopped.set()
                theirs_is_done.wait(PATIENCE)
                session.execute(select(Node.id)).all()
        except SQLAlchemyError as error:
            ended.append(error)

    thread = threading.Thread(target=stand_still)
    thread.start()
    stopped.wait()
    with suppress(SQLAlchemyError):  # Told to try again, at worst.
        write(near, node_id, description="theirs")
    write(near, node_id, description="theirs")
    theirs_is_done.set()
    thread.join()
    assert isinstance(outage.told(ended[0]), Unavailable)  # type: ignore[arg-type]
    with near.read() as session:
        assert session.get_one(Node, node_id).description == "theirs"


def test_of_two_changes_that_cross_each_other_one_is_told_to_try_again(near: Store) -> None:
    nodes = [node(near), node(near)]
    both = threading.Barrier(2)
    failed: list[SQLAlchemyError] = []

    def change(first: int, second: int) -> None:
        try:
            with near.write() as session:
                session.execute(update(Node).where(Node.id == first).values(description="x"))
                both.wait()
                session.execute(update(Node).where(Node.id == second).values(description="x"))
        except SQLAlchemyError as error:
            failed.append(error)

    threads = [
        threading.Thread(target=change, args=order) for order in (nodes, list(reversed(nodes)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (error,) = failed
    told = outage.told(error)
    assert isinstance(told, Unavailable)
    assert "Another change crossed this one" in told.message


def test_what_does_not_fit_is_the_requests_fault(near: Store) -> None:
    node_id = node(near)
    assert isinstance(failure(lambda: write(near, node_id, driver="x" * 300)), Invalid)


def test_times_keep_their_microseconds_and_names_their_case(near: Store) -> None:
    node_id = node(near)
    now = near.clock.now()
    write(near, node_id, lease_expires=now, name="Rack", deadline=None)
    with near.read() as session:
        found = session.get_one(Node, node_id)
        assert found.lease_expires == now
        assert session.scalars(select(Node.id).where(Node.name.in_(["rack", "Rack "]))).all() == []
