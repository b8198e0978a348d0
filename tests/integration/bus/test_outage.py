"""The broker is killed, hangs, comes late or hangs up: calls are refused soon, and work again."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from cluster.rabbitmq import RabbitMQ
from drophammer.bus import Bus, Unanswered
from drophammer.errors import Unavailable
from tests.integration.bus.conftest import Endpoint, until
from tests.patience import AT_ONCE


def refused(bus: Bus, what: str) -> float:
    """Seconds that a call took to be refused."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        bus.call("conductor", "note", what=what)
    return time.monotonic() - began


def test_a_broker_that_is_killed_is_missed_soon_and_found_again_by_itself(
    bus: Bus,
    make_bus: Callable[..., Bus],
    endpoint: Endpoint,
    broker: RabbitMQ,
    oslo_lines: list[str],
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    bus.call("conductor", "note", what="before")
    threads = lasting_threads()
    broker.kill()
    killed = time.monotonic()
    assert refused(bus, "first") < AT_ONCE
    # From here on it is known: to find it out again each time would take longer together.
    assert sum(refused(bus, "more") for _ in range(20)) < AT_ONCE
    assert bus.trouble()
    began = time.monotonic()
    for _ in range(20):
        bus.cast("conductor", "note", what="nudge")
    assert time.monotonic() - began < AT_ONCE
    time.sleep(3.0)
    assert len(oslo_lines) < 10 + 4 * (time.monotonic() - killed)
    assert lasting_threads() <= threads
    broker.start()
    assert until(lambda: bus.call("conductor", "note", what="back") == "back") < AT_ONCE
    assert bus.trouble() == ""
    assert set(endpoint.noted) <= {"before", "back", "nudge"}
    assert lasting_threads() <= threads


def test_a_broker_that_hangs_is_waited_for_briefly_and_nothing_is_done_late(
    bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint, broker: RabbitMQ
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    bus.call("conductor", "note", what="before")
    broker.pause()
    assert refused(bus, "first") < AT_ONCE
    assert sum(refused(bus, "more") for _ in range(10)) < AT_ONCE
    time.sleep(1.0)
    broker.resume()
    assert until(lambda: bus.call("conductor", "note", what="back") == "back") < AT_ONCE
    assert endpoint.noted == ["before", "back"]


def test_connections_that_are_cut_are_made_again(
    bus: Bus, make_bus: Callable[..., Bus], endpoint: Endpoint, broker: RabbitMQ
) -> None:
    make_bus().serve("conductor", endpoint, "one")
    for number in range(3):
        bus.call("conductor", "note", what=f"before-{number}")
        assert cut(broker.port) >= 3
        until(lambda: bus.call("conductor", "note", what="after") == "after")
    # Whatever was sent twice on the way was done once.
    assert len([what for what in endpoint.noted if what.startswith("before")]) == 3


def test_who_sends_nothing_finds_out_too(
    bus: Bus, endpoint: Endpoint, broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drophammer.bus_oslo.QUIET_SECONDS", 0.5)
    bus.serve("conductor", endpoint, "one")
    until(lambda: bus.trouble() == "")
    broker.kill()
    until(bus.trouble)
    broker.start()
    until(lambda: bus.trouble() == "")


def test_who_starts_while_the_broker_is_away_serves_when_it_comes(
    make_bus: Callable[..., Bus], endpoint: Endpoint, broker: RabbitMQ
) -> None:
    broker.stop()
    asking, serving = make_bus(), make_bus()
    began = time.monotonic()
    serving.serve("conductor", endpoint, "one")
    assert time.monotonic() - began < AT_ONCE
    assert serving.trouble()
    assert refused(asking, "early") < AT_ONCE
    broker.start()
    until(lambda: asking.call("conductor", "note", what="now") == "now")
    assert endpoint.noted == ["now"]


def test_a_process_can_end_while_the_broker_is_away(
    make_bus: Callable[..., Bus], endpoint: Endpoint, broker: RabbitMQ
) -> None:
    asking, serving = make_bus(), make_bus()
    served = serving.serve("conductor", endpoint, "one")
    asking.call("conductor", "note", what="before")
    broker.kill()
    began = time.monotonic()
    served.stop()
    serving.close()
    with contextlib.suppress(Unavailable, Unanswered):
        asking.call("conductor", "note", what="never")
    asking.close()
    assert time.monotonic() - began < AT_ONCE


def lasting_threads() -> set[str]:
    """The threads of this process, those of pools aside: there is an end to these."""
    return {one.name for one in threading.enumerate() if type(one) is threading.Thread}


def cut(port: int) -> int:
    """Shut down the connections that this process has to a port; how many there were."""
    count = 0
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if not os.readlink(f"/proc/self/fd/{entry}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry))) as one:
                if one.family == socket.AF_INET and one.getpeername()[1] == port:
                    one.shutdown(socket.SHUT_RDWR)
                    count += 1
    return count
