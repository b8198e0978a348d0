"""For how long leases may be relied upon without asking the database."""

from __future__ import annotations

import datetime
import time

import pytest

from drophammer.clock import DatabaseClock
from drophammer.errors import LeaseLost
from drophammer.store import Holder, Lease
from drophammer.tenure import Tenure
from tests.patience import PATIENCE


def a_lease(holder: Holder, seconds: float) -> Lease:
    lease = Lease(1, holder, "clean", 7, holder.tenure.taken(), seconds)
    holder.tenure.settled(lease.key)
    return lease


def until_past(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() <= end:
        time.sleep(0.001)


def test_a_lease_is_ours_for_its_time_and_not_longer() -> None:
    assert 0 < a_lease(Holder("a", "host"), 60).left() <= 60
    lease = a_lease(Holder("a", "host"), 0.03)
    until_past(0.03)
    with pytest.raises(LeaseLost, match="'clean'"):
        lease.left()


def test_a_renewal_in_time_pushes_out_what_was_taken_before() -> None:
    holder = Holder("a", "host")
    lease = a_lease(holder, 30)
    with holder.tenure.renewal(90) as renewed:
        renewed.add(lease.key)
    assert lease.left() > 30


def test_what_was_not_renewed_with_the_rest_is_lost_at_once() -> None:
    holder = Holder("a", "host")
    lease = a_lease(holder, 60)
    with holder.tenure.renewal(60):
        pass
    with pytest.raises(LeaseLost, match="was taken from this process"):
        lease.left()


def test_what_was_taken_during_a_renewal_is_not_lost_by_it() -> None:
    holder = Holder("a", "host")
    with holder.tenure.renewal(60):
        lease = a_lease(holder, 60)
    assert lease.left() > 30


def test_a_look_at_what_nobody_holds_outlives_a_renewal() -> None:
    holder = Holder("a", "host")
    look = Lease(1, holder, "heartbeat", 0, holder.tenure.taken(), 60)
    with holder.tenure.renewal(60):
        pass
    assert look.left() > 30


def test_a_renewal_that_failed_renews_nothing() -> None:
    tenure = Tenure()
    moment = tenure.taken()
    with pytest.raises(OSError, match="gone"), tenure.renewal(60):
        raise OSError("gone")
    assert tenure.left(moment, 1) <= 1


def test_what_was_held_before_a_renewal_that_came_too_late_is_lost_for_good() -> None:
    holder = Holder("a", "host")
    with holder.tenure.renewal(0.03):
        pass
    old = a_lease(holder, 0.03)
    until_past(0.03)
    assert holder.tenure.lapsed()
    with holder.tenure.renewal(60):
        pass
    assert not holder.tenure.lapsed()
    with pytest.raises(LeaseLost):
        old.left()
    assert a_lease(holder, 60).left() > 30


def test_the_databases_clock_goes_on_between_two_readings() -> None:
    asked = []
    start = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)

    def ask() -> datetime.datetime:
        asked.append(True)
        return start

    clock = DatabaseClock(ask)
    first = clock.now()
    until_past(0.02)
    assert clock.now() - first >= datetime.timedelta(seconds=0.02)
    assert abs(first - start) < datetime.timedelta(seconds=PATIENCE)
    assert len(asked) == 1


def test_a_database_that_is_away_leaves_the_last_reading() -> None:
    answers = [datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)]
    clock = DatabaseClock(answers.pop)
    assert clock.now().year == 2030
    clock._next = 0
    assert clock.now().year == 2030
