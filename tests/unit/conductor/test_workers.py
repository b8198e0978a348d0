"""Threads and the timer in front of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from conductor.workers import QUEUED_PER_THREAD, Workers
from drophammer.errors import Unavailable
from tests.patience import PATIENCE, until


def test_later_work_comes_in_the_order_of_its_time() -> None:
    workers = Workers(1)

    def order_of_three() -> list[str] | None:
        """None where the machine stood still meanwhile: they had another order then."""
        order: list[str] = []
        done = threading.Event()
        began = time.monotonic()
        workers.later(0.06, lambda: (order.append("late"), done.set()))
        workers.later(0.02, lambda: order.append("early"))
        workers.submit(order.append, "now")
        as_meant = time.monotonic() - began < 0.02
        assert done.wait(PATIENCE)
        return order if as_meant else None

    assert until(order_of_three) == ["now", "early", "late"]
    assert workers.stop(PATIENCE)


def test_an_overload_is_refused_and_ends() -> None:
    workers = Workers(1)
    gate = threading.Event()
    for _ in range(QUEUED_PER_THREAD):
        workers.submit(gate.wait)
    with pytest.raises(Unavailable, match="busy"):
        workers.admit()
    gate.set()

    def admitted() -> bool:
        with contextlib.suppress(Unavailable):
            workers.admit()
            return True
        return False

    until(admitted)
    workers.stop(PATIENCE)


def test_an_error_does_not_cost_a_thread() -> None:
    workers = Workers(1)
    done = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    for _ in range(3):
        workers.submit(fail)
    workers.submit(done.set)
    assert done.wait(PATIENCE)
    workers.stop(PATIENCE)


def test_stopping_does_not_wait_for_ever_and_says_so() -> None:
    workers = Workers(1)
    gate, began = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait()

    workers.submit(work)
    assert began.wait(PATIENCE)
    assert not workers.stop(0.05)
    with pytest.raises(Unavailable, match="stopping"):
        workers.admit()
    gate.set()


@contextlib.contextmanager
def no_new_threads() -> Iterator[None]:
    """The system refuses to start any."""
    usual = threading.stack_size(1 << 47)  # More than there are addresses.
    try:
        yield
    finally:
        threading.stack_size(usual)


def test_work_for_which_no_thread_starts_is_refused_and_never_done() -> None:
    workers = Workers(1)
    done: list[str] = []
    over = threading.Event()
    with no_new_threads(), pytest.raises(Unavailable, match="could not start a thread"):
        workers.submit(done.append, "refused")
    workers.submit(done.append, "taken")  # On a thread that finds both in the queue.
    workers.submit(over.set)
    assert over.wait(PATIENCE)
    assert done == ["taken"]
    assert workers.stop(PATIENCE)


def test_refused_work_is_not_counted_as_queued() -> None:
    workers = Workers(1)
    with no_new_threads():
        for _ in range(QUEUED_PER_THREAD + 1):
            with pytest.raises(Unavailable, match="could not start a thread"):
                workers.submit(print)
    workers.admit()
    assert workers.stop(PATIENCE)


def test_the_timer_outlives_a_refusal_and_tries_again() -> None:
    workers = Workers(1)
    done = threading.Event()
    with no_new_threads():
        workers.later(0, done.set)
        assert not done.wait(0.1)
    assert done.wait(PATIENCE)
    assert workers.stop(PATIENCE)
