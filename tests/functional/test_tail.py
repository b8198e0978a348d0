"""Up to where the events are complete, while transactions end in another order than they began."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from drophammer import events
from drophammer.model import Event
from drophammer.store import Store
from drophammer.tail import LONGEST_SECONDS, UNSEEN_SECONDS, WINDOW, Tail
from tests.databases import SERVER, copied
from tests.patience import PATIENCE, until

servers_only = pytest.mark.skipif(SERVER is None, reason="sqlite has one writer at a time")


class Hours:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    made = copied(empty_database, tmp_path / "tail.sqlite")
    yield made
    made.close()


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def tail(store: Store, hours: Hours) -> Tail:
    return Tail(store, monotonic=hours)


def tell(store: Store, message: str) -> None:
    with store.write() as session:
        record(session, store, message)


def record(session: Session, store: Store, message: str) -> None:
    now = store.clock.now()
    events.record(session, node_id=None, at=now, source="api", kind="note", message=message)


def told(store: Store, after: int, until: int) -> list[str]:
    with store.ask() as connection:
        found = events.of_all(
            connection, after=after, until=until, wanted=events.EVERYTHING, limit=1000
        )
    return [event.message for event in found]


class Late:
    """A transaction that has taken its ids and does not end."""

    def __init__(self, store: Store, message: str) -> None:
        self._connection = store.engine.connect()
        values = {
            "at": store.clock.now(),
            "source": "api",
            "kind": "note",
            "message": message,
            "data": {},
        }
        self._connection.execute(insert(Event), [values])

    def commit(self) -> None:
        self._connection.commit()
        self._connection.close()

    def roll_back(self) -> None:
        self._connection.rollback()
        self._connection.close()


def test_without_events_nothing_is_there(tail) -> None:
    assert tail.settled() == tail.newest() == 0


def test_what_has_been_written_one_after_the_other_is_complete_at_once(store, tail) -> None:
    for number in range(3):
        tell(store, str(number))
    assert tail.settled() == tail.newest() == 3
    tell(store, "3")
    assert tail.settled() == 4


def test_an_id_is_never_given_out_twice(store, tail) -> None:
    for number in range(3):
        tell(store, str(number))
    assert tail.settled() == 3
    with store.write() as session:
        session.execute(delete(Event))
    tell(store, "new")
    assert told(store, 3, 100) == ["new"]


@servers_only
def test_what_commits_late_is_waited_for_and_comes_in_its_place(store, tail, hours) -> None:
    tell(store, "first")
    late = Late(store, "late")
    tell(store, "early")
    assert tail.settled() == 1
    for hours.now in (1.1, 2.2, 3.3, LONGEST_SECONDS - 1):
        assert tail.settled() == 1, "the transaction is still under way"
    late.commit()
    assert tail.settled() == 3
    assert told(store, 0, 3) == ["first", "late", "early"]


@servers_only
def test_what_never_comes_is_not_waited_for_longer_than_need_be(store, tail, hours) -> None:
    tell(store, "first")
    late = Late(store, "late")
    tell(store, "early")
    assert tail.settled() == 1
    late.roll_back()
    assert tail.settled() == 1
    hours.now = UNSEEN_SECONDS + 0.1
    until(lambda: tail.settled() == 3)  # PostgreSQL counts what is under way in all databases.
    tell(store, "next")
    assert tail.settled() == 4


@servers_only
def test_one_that_hangs_for_ever_does_not_stop_the_others(store, tail, hours) -> None:
    late = Late(store, "late")
    tell(store, "early")
    assert tail.settled() == 0
    hours.now = LONGEST_SECONDS
    assert tail.settled() == 2
    late.roll_back()


@servers_only
def test_who_begins_later_waits_for_what_is_under_way_too(store, hours) -> None:
    for number in range(5):
        tell(store, str(number))
    late = Late(store, "late")
    tell(store, "early")
    tail = Tail(store, monotonic=hours)
    assert tail.settled() <= 5
    late.commit()
    hours.now = UNSEEN_SECONDS + 0.1
    tail.settled()
    hours.now = 2 * UNSEEN_SECONDS + 0.2
    until(lambda: tail.settled() == 7)


def test_old_gaps_hold_up_nobody_for_long(store, hours) -> None:
    for number in range(6):
        tell(store, str(number))
    with store.write() as session:
        session.execute(delete(Event).where(Event.id.in_((2, 3))))
    tail = Tail(store, monotonic=hours)
    tail.settled()
    hours.now = UNSEEN_SECONDS + 0.1
    until(lambda: tail.settled() == 6)


def test_many_writers_at_once_are_read_whole_and_in_order(store) -> None:
    """One follows while eight write, some of them slowly, some rolling back."""
    tail = Tail(store)
    each, writers = 30, 8

    def write(writer: int) -> None:
        for number in range(each):
            with store.write() as session:
                record(session, store, f"{writer} {number}")
                if SERVER is not None and number % 7 == writer % 7:
                    session.execute(
                        insert(Event),
                        [
                            {
                                "at": store.clock.now(),
                                "source": "api",
                                "kind": "note",
                                "message": "slow",
                                "data": {},
                            }
                        ],
                    )
                    time.sleep(0.01)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    found: list[str] = []
    position = 0
    end = time.monotonic() + PATIENCE
    while len([text for text in found if text != "slow"]) < each * writers:
        assert time.monotonic() < end, len(found)
        until = tail.settled()
        found += told(store, position, until)
        position = until
    for thread in threads:
        thread.join()
    for writer in range(writers):
        own = [text for text in found if text.startswith(f"{writer} ")]
        assert own == [f"{writer} {number}" for number in range(each)]
    assert each * writers < WINDOW
