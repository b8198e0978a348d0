"""A real RabbitMQ, started once; buses and servers on it, in this process and in others."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from cluster.lending import free_ports
from cluster.rabbitmq import RabbitMQ
from drophammer.bus import Bus, connect
from drophammer.errors import Unavailable
from tests.patience import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """oslo.messaging imports what it warns of itself."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that the users of engines may enter, which pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="drophammer-bus-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def one_broker(place: Path) -> Iterator[RabbitMQ]:
    if not Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists():
        pytest.skip("Debian's rabbitmq-server is not installed; `make test` does that")
    broker = RabbitMQ(place / "rabbitmq", free_ports(3))
    try:
        broker.start()
        yield broker
        end_of_threads()
    finally:
        broker.stop()


@pytest.fixture
def broker(one_broker: RabbitMQ) -> Iterator[RabbitMQ]:
    """Running, whatever the last test did to it."""
    yield one_broker
    one_broker.resume()
    if not one_broker.running:
        one_broker.start()


@pytest.fixture
def make_bus(broker: RabbitMQ) -> Iterator[Callable[..., Bus]]:
    """A bus of its own, as another process would have it."""
    if not cfg.CONF._args:
        cfg.CONF([], project="drophammer", default_config_files=[])
    made: list[Bus] = []

    def make(key: str = "") -> Bus:
        made.append(connect(broker.url, cfg.CONF, signing_key=key))
        return made[-1]

    yield make
    for bus in made:
        bus.close()
    # Sockets of connections that broke are closed with the last reference to them.
    gc.collect()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls gives nobody up for standing still: for tests in which all are well."""
    monkeypatch.setattr("drophammer.bus_oslo.BEGIN_SECONDS", PATIENCE / 2)
    monkeypatch.setattr("drophammer.bus_oslo.ALIVE_SECONDS", PATIENCE / 2)


@pytest.fixture
def bus(make_bus: Callable[..., Bus]) -> Bus:
    return make_bus()


def end_of_threads() -> None:
    """Wait until nobody in this process has business with the broker, and forget the business.

    What could not be ended while it was away ends now, and its sockets go with it.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("bus-"):
            thread.join(PATIENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


class Peer:
    """A process that serves a topic and notes what it does."""

    def __init__(self, url: str, topic: str, host: str, notes: Path) -> None:
        self.host = host
        self._notes = notes
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "peer.py"), url, topic, host, str(notes)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def notes(self) -> list[str]:
        """What it has done, in order."""
        return self._notes.read_text().split() if self._notes.exists() else []


@pytest.fixture
def peer(broker: RabbitMQ, tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(host: str = "one", topic: str = "conductor") -> Peer:
        made.append(Peer(broker.url, topic, host, tmp_path / f"notes-{host}"))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()


class Endpoint:
    """What tests serve: it notes what it is asked."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.changed = threading.Condition()

    def note(self, what: str) -> str:
        with self.changed:
            self.noted.append(what)
            self.changed.notify_all()
        return what

    def number(self, node_id: int, timeout: float | None = None) -> int:
        self.note(str(node_id))
        return node_id

    def nap(self, seconds: float) -> str:
        time.sleep(seconds)
        return "rested"

    def _hidden(self) -> None:
        self.note("hidden")


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def oslo_lines() -> Iterator[list[str]]:
    """What is logged at INFO and above while the test runs, a line each."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}: {record.getMessage()}")

    keep, root = Keep(logging.INFO), logging.getLogger()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(keep)
    root.setLevel(before)


def until(ready: Callable[[], Any]) -> float:
    """Seconds until ``ready()`` is true; Unavailable counts as not yet."""
    began = time.monotonic()
    while True:
        try:
            if ready():
                return time.monotonic() - began
        except Unavailable:
            pass
        assert time.monotonic() - began < PATIENCE, "it did not come to that in time"
        time.sleep(0.05)
