"""Threads and the timer in front of them."""

from __future__ import annotations

import threading
import time

import pytest

from conductor.workers import QUEUED_PER_THREAD, Workers
from drophammer.errors import Unavailable


def test_later_work_comes_in_the_order_of_its_time() -> None:
    workers = Workers(1)
    order: list[str] = []
    done = threading.Event()
    workers.later(0.06, lambda: (order.append("late"), done.set()))
    workers.later(0.02, lambda: order.append("early"))
    workers.submit(order.append, "now")
    assert done.wait(5)
    assert order == ["now", "early", "late"]
    assert workers.stop(1)


def test_an_overload_is_refused_and_ends() -> None:
    workers = Workers(1)
    gate = threading.Event()
    for _ in range(QUEUED_PER_THREAD):
        workers.submit(gate.wait)
    with pytest.raises(Unavailable, match="busy"):
        workers.admit()
    gate.set()
    end = time.monotonic() + 5
    while True:
        try:
            workers.admit()
            break
        except Unavailable:
            assert time.monotonic() < end
    workers.stop(1)


def test_an_error_does_not_cost_a_thread() -> None:
    workers = Workers(1)
    done = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    for _ in range(3):
        workers.submit(fail)
    workers.submit(done.set)
    assert done.wait(5)
    workers.stop(1)


def test_stopping_does_not_wait_for_ever_and_says_so() -> None:
    workers = Workers(1)
    gate, began = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait()

    workers.submit(work)
    assert began.wait(5)
    assert not workers.stop(0.05)
    with pytest.raises(Unavailable, match="stopping"):
        workers.admit()
    gate.set()
