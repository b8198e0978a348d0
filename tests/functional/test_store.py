"""Leases, transactions and the schema on a real sqlite database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, select

from drophammer.clock import FakeClock
from drophammer.errors import LeaseLost, NodeLocked, NotFound
from drophammer.model import Base, Node, Port, Portgroup, new_uuid
from drophammer.store import Holder, Store
from tests.databases import copied
from tests.patience import PATIENCE

A, B = Holder("uuid-a", "host-a"), Holder("uuid-b", "host-b")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, empty_database: Path, clock: FakeClock) -> Iterator[Store]:
    store = copied(empty_database, tmp_path / "x.sqlite", clock=clock)
    yield store
    store.close()


def add_node(store: Store) -> int:
    with store.write() as session:
        node = Node(
            uuid=new_uuid(),
            driver="fake-hardware",
            provision_state="enroll",
            created_at=store.clock.now(),
        )
        session.add(node)
        session.flush()
        return node.id


def test_the_migrations_make_exactly_the_tables_of_the_model(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, Base.metadata)
    # Of a reference that was added with its column, sqlite's ON DELETE is not read back.
    assert [one for one in found if "portgroup_uuid" not in str(one)] == []


def test_ports_outlive_their_group_and_both_go_with_their_node(store: Store) -> None:
    node_id = add_node(store)
    now = store.clock.now()
    with store.write() as session:
        group = Portgroup(uuid=new_uuid(), node_id=node_id, created_at=now)
        session.add(group)
        session.flush()
        for address in ("52:54:00:00:00:01", "52:54:00:00:00:02"):
            session.add(
                Port(
                    uuid=new_uuid(),
                    node_id=node_id,
                    address=address,
                    portgroup_uuid=group.uuid,
                    created_at=now,
                )
            )
    with store.write() as session:
        session.execute(delete(Portgroup))
        assert session.scalars(select(Port.portgroup_uuid)).all() == [None, None]
        session.execute(delete(Node))
        assert session.scalars(select(Port.id)).all() == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    node_id = add_node(store)
    store.migrate()
    with store.read() as session:
        assert session.get(Node, node_id) is not None


def test_only_one_holder_gets_a_node(store: Store) -> None:
    node_id = add_node(store)
    with store.write() as session:
        store.reserve(session, node_id, A, "deploy")
    with pytest.raises(NodeLocked, match=r"locked by host host-a.*for: deploy"), store.write() as s:
        store.reserve(s, node_id, B, "clean")


def test_a_released_node_is_free_and_its_old_lease_worthless(store: Store) -> None:
    node_id = add_node(store)
    with store.write() as session:
        old = store.reserve(session, node_id, A, "deploy")
    with store.write() as session:
        store.release(session, old)
    with store.write() as session:
        new = store.reserve(session, node_id, A, "deploy")
    assert new.fence > old.fence
    with pytest.raises(LeaseLost), store.write() as session:
        store.update_leased(session, old, {"last_error": "late"})


def test_a_lease_that_ran_out_can_be_taken_and_its_holder_writes_nothing(
    store: Store, clock: FakeClock
) -> None:
    node_id = add_node(store)
    with store.write() as session:
        old = store.reserve(session, node_id, A, "deploy")
    clock.advance(store.lease_seconds + 1)
    with store.write() as session:
        store.reserve(session, node_id, B, "taken over")
    with pytest.raises(LeaseLost), store.write() as session:
        store.update_leased(session, old, {"last_error": "late"})
    with store.read() as session:
        assert session.get_one(Node, node_id).last_error is None


def test_a_renewed_lease_does_not_run_out(store: Store, clock: FakeClock) -> None:
    node_id = add_node(store)
    with store.write() as session:
        store.reserve(session, node_id, A, "deploy")
    clock.advance(store.lease_seconds - 1)
    with store.write() as session:
        store.renew_all(session, A)
    clock.advance(store.lease_seconds - 1)
    with pytest.raises(NodeLocked), store.write() as session:
        store.reserve(session, node_id, B, "clean")


def test_the_former_holder_of_a_broken_lease_knows_at_its_next_renewal(store: Store) -> None:
    url = store.engine.url.render_as_string(hide_password=False)
    with closing(Store(url, clock=store.clock)) as other:
        kept, broken = add_node(store), add_node(store)
        with store.write() as session:
            leases = [store.reserve(session, node_id, A, "deploy") for node_id in (kept, broken)]
        with other.write() as session:
            assert other.break_lease(session, broken)
            other.reserve(session, broken, B, "taken over")
        assert all(lease.left() > 0 for lease in leases)
        with A.tenure.renewal(store.lease_seconds) as renewed, store.write() as session:
            renewed |= store.renew_all(session, A)
        assert renewed == {leases[0].key}
        assert leases[0].left() > 0
        with pytest.raises(LeaseLost, match="was taken from this process"):
            leases[1].left()
        with store.write() as session:
            store.release(session, leases[0])


def test_who_asks_whether_a_lease_holds_waits_for_whoever_is_taking_it(store: Store) -> None:
    node_id = add_node(store)
    with store.write() as session:
        lease = store.reserve(session, node_id, A, "deploy")
    store.confirm(lease)
    told: list[object] = []

    def ask() -> None:
        try:
            store.confirm(lease)
            told.append("holds")
        except LeaseLost as lost:
            told.append(lost)

    asking = threading.Thread(target=ask)
    with store.write() as session:
        store.break_lease(session, node_id)
        asking.start()
        asking.join(0.3)
        assert told == []
    asking.join(PATIENCE)
    assert isinstance(told[0], LeaseLost)


def test_reserving_what_does_not_exist_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound), store.write() as session:
        store.reserve(session, 99, A, "deploy")


def test_of_sixteen_racing_holders_one_wins_each_node_and_none_fails_otherwise(
    store: Store,
) -> None:
    nodes = [add_node(store) for _ in range(20)]
    winners: list[tuple[int, str]] = []
    errors: list[BaseException] = []

    def race(name: str) -> None:
        for node_id in nodes:
            try:
                with store.write() as session:
                    store.reserve(session, node_id, Holder(name, name), "race")
                winners.append((node_id, name))
            except NodeLocked:
                pass
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=race, args=(str(n),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(node_id for node_id, _ in winners) == nodes


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    node_id = add_node(store)

    def fail_half_way() -> None:
        with store.write() as session:
            store.reserve(session, node_id, A, "deploy")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with store.read() as session:
        assert session.get_one(Node, node_id).lease_owner is None
