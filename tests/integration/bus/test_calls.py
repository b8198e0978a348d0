"""Calls over RabbitMQ: the same as in one process, and honest about what became of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from drophammer.bus import Bus, Unanswered
from drophammer.errors import Invalid, Unavailable, Unsupported
from tests.integration.bus.conftest import Endpoint, until
from tests.patience import AT_ONCE, PATIENCE


def test_a_call_is_answered_and_an_error_keeps_its_class(
    bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    assert bus.call("conductor", "note", what="this") == "this"
    with pytest.raises(Unsupported):
        bus.call("conductor", "_hidden")
    with pytest.raises(Invalid, match="node_id is a str"):
        bus.call("conductor", "number", node_id="five")
    assert bus.call("conductor", "number", node_id=5, timeout=1) == 5
    assert endpoint.noted == ["this", "5"]


def test_a_cast_is_carried_out(bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint) -> None:
    make_bus().serve("conductor", endpoint, "one")
    bus.cast("conductor", "note", what="knock")
    until(lambda: endpoint.noted == ["knock"])


@pytest.mark.usefixtures("patient")
def test_where_nobody_serves_that_is_said_at_once_and_harms_no_other_call(
    bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    bus.call("conductor", "note", what="warm")
    for number in range(5):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="No netboot is running"):
            bus.call("netboot", "refresh")
        assert time.monotonic() - began < AT_ONCE
        # The broker's receipts must not be off by one now.
        assert bus.call("conductor", "note", what=str(number)) == str(number)
    with pytest.raises(Unavailable, match="group 'rack9'"):
        bus.call("conductor.rack9", "note", what="x")
    with pytest.raises(Unavailable, match="conductor on two"):
        bus.call("conductor@two", "note", what="x")


def test_a_bus_that_is_closed_leaves_nobody_behind(bus: Bus, endpoint: Endpoint) -> None:
    bus.serve("conductor", endpoint, "one")
    bus.serve("netboot", endpoint, "one")
    bus.call("conductor", "note", what="this")
    bus.close()
    until(lambda: not any(one.name.startswith("bus-") for one in threading.enumerate()))


def test_groups_and_single_servers_have_addresses_of_their_own(
    bus: Bus, make_bus: Callable[..., Bus]
) -> None:
    ends = {name: Endpoint() for name in ("one", "two", "rack")}
    make_bus().serve("conductor", ends["one"], "one")
    make_bus().serve("conductor", ends["two"], "two")
    make_bus().serve("conductor.rack9", ends["rack"], "one")
    for _ in range(6):
        bus.call("conductor", "note", what="any")
        bus.call("conductor@two", "note", what="two")
        bus.call("conductor.rack9", "note", what="rack")
    assert ends["rack"].noted == ["rack"] * 6
    assert "two" not in ends["one"].noted
    assert ends["one"].noted.count("any") > 0 < ends["two"].noted.count("any")


def test_what_takes_long_is_waited_for_as_long_as_somebody_is_at_it(
    bus: Bus, peer: Callable[..., Any]
) -> None:
    peer()
    assert bus.call("conductor", "nap", seconds=5.5) == "rested"


def test_a_server_that_dies_with_a_call_is_noticed_soon(bus: Bus, peer: Callable[..., Any]) -> None:
    one = peer()
    began = time.monotonic()
    with pytest.raises(Unanswered) as caught:
        bus.call("conductor", "die")
    assert time.monotonic() - began < AT_ONCE
    assert caught.value.request
    assert one.notes() == ["die"]


def test_a_server_that_dies_in_a_long_call_is_noticed_soon(
    bus: Bus, peer: Callable[..., Any]
) -> None:
    one = peer()

    def die() -> None:
        until(one.notes)
        time.sleep(1.0)  # It has said more than once that it is at it.
        one.process.kill()

    threading.Thread(target=die).start()
    began = time.monotonic()
    with pytest.raises(Unanswered):
        bus.call("conductor", "nap", seconds=2 * PATIENCE)
    assert time.monotonic() - began < AT_ONCE


def test_a_server_that_hangs_holds_up_one_call_and_does_not_do_it_later(
    bus: Bus, peer: Callable[..., Any]
) -> None:
    one, two = peer("one"), peer("two")
    for number in range(10):
        bus.call("conductor", "note", what=str(number))
    os.kill(one.process.pid, signal.SIGSTOP)
    before, lost = one.notes(), []
    for number in range(10, 30):
        try:
            bus.call("conductor", "note", what=str(number))
        except Unanswered:
            lost.append(str(number))
    assert len(lost) <= 2
    os.kill(one.process.pid, signal.SIGCONT)
    until(lambda: [bus.call("conductor", "note", what="after")] and "after" in one.notes())
    assert not set(lost) & set(one.notes() + two.notes())
    assert one.notes()[: len(before)] == before


@pytest.mark.usefixtures("patient")
def test_a_server_that_stops_in_good_order_loses_nothing(
    bus: Bus, peer: Callable[..., Any]
) -> None:
    peers = [peer(name) for name in ("one", "two", "three")]
    asked: list[str] = []
    unanswered: list[str] = []
    stop = threading.Event()

    def ask(name: str) -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            try:
                bus.call("conductor", "note", what=f"{name}-{number}")
                asked.append(f"{name}-{number}")
            except Unanswered:
                unanswered.append(f"{name}-{number}")

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for leaving in peers[:2]:
        time.sleep(0.5)
        leaving.process.terminate()
        assert leaving.process.wait(PATIENCE) == 0
    until(lambda: len(asked) > 50)
    stop.set()
    for thread in threads:
        thread.join()
    done = [line for one in peers for line in one.notes()]
    assert len(done) == len(set(done))
    assert unanswered == []
    assert set(asked) == set(done)
