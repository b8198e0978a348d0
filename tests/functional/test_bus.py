"""Both buses make the same calls with the same results and the same errors."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from drophammer.bus import Bus, LocalBus
from drophammer.errors import DrophammerError, NodeLocked, Unavailable, Unsupported
from tests.patience import PATIENCE


class Endpoint:
    def __init__(self) -> None:
        self.heard = threading.Event()
        self.said: Any = None

    def add(self, a: int, b: int) -> dict[str, Any]:
        return {"sum": a + b, "pair": (a, b)}

    def lock(self) -> None:
        raise NodeLocked("Node x is locked by host h.")

    def crash(self) -> None:
        raise KeyError("secret")

    def hear(self, what: str) -> None:
        self.said = what
        self.heard.set()

    def _hidden(self) -> str:
        return "no"


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def bus(endpoint: Endpoint) -> Iterator[Bus]:
    bus = LocalBus()
    bus.serve("conductor", endpoint, "here")
    yield bus
    bus.close()


def test_a_call_returns_the_result_as_json_would_carry_it(bus: Bus) -> None:
    assert bus.call("conductor", "add", a=1, b=2) == {"sum": 3, "pair": [1, 2]}


def test_a_domain_error_keeps_its_class_and_text(bus: Bus) -> None:
    with pytest.raises(NodeLocked, match="locked by host h"):
        bus.call("conductor", "lock")


def test_an_unexpected_error_tells_nothing_of_the_inside(bus: Bus) -> None:
    with pytest.raises(DrophammerError) as caught:
        bus.call("conductor", "crash")
    assert "secret" not in caught.value.message
    assert "log" in caught.value.message


def test_only_public_methods_can_be_called(bus: Bus) -> None:
    for name in ("_hidden", "nothing"):
        with pytest.raises(Unsupported):
            bus.call("conductor", name)


def test_a_cast_is_carried_out(bus: Bus, endpoint: Endpoint) -> None:
    bus.cast("conductor", "hear", what="knock")
    assert endpoint.heard.wait(PATIENCE)
    assert endpoint.said == "knock"


def test_a_topic_that_nobody_serves_is_unavailable(bus: Bus) -> None:
    with pytest.raises(Unavailable, match="netboot"):
        bus.call("netboot", "refresh")


def test_a_stopped_server_takes_no_calls(endpoint: Endpoint) -> None:
    bus = LocalBus()
    served = bus.serve("conductor", endpoint, "here")
    served.stop()
    with pytest.raises(Unavailable):
        bus.call("conductor", "add", a=1, b=2)
    bus.close()


def test_oslo_messaging_carries_the_same_calls_and_errors_without_green_threads() -> None:
    # In a process of its own: oslo.messaging and its backend are process-wide.
    script = """
import sys, threading, warnings
warnings.simplefilter("ignore")
from oslo_config import cfg
from drophammer.bus import connect
from drophammer.errors import NodeLocked, Unsupported
class Endpoint:
    heard = threading.Event()
    def add(self, a, b): return {"sum": a + b, "pair": [a, b]}
    def lock(self): raise NodeLocked("Node x is locked by host h.")
    def hear(self): self.heard.set()
cfg.CONF([], project="drophammer", default_config_files=[])
bus = connect("fake://", cfg.CONF)
served = bus.serve("conductor", Endpoint(), "here")
assert bus.call("conductor", "add", a=1, b=2) == {"sum": 3, "pair": [1, 2]}
try:
    bus.call("conductor", "lock")
except NodeLocked as error:
    assert error.message == "Node x is locked by host h."
else:
    raise AssertionError("no error came back")
try:
    bus.call("conductor", "nothing")
except Unsupported:
    pass
bus.cast("conductor", "hear")
assert Endpoint.heard.wait(30)
import time, socket, sys
assert sys.modules["eventlet"] is None
assert "eventlet" not in getattr(time.sleep, "__module__", "")
assert "eventlet" not in socket.socket.__module__
served.stop(); bus.close()
print("same")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.strip() == "same", done.stderr
