"""The API over real HTTP, for the clients that others wrote."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.server import ApiServer, listen
from api.settings import Settings
from drophammer import conductors
from drophammer.bus import LocalBus
from drophammer.model import INTERFACES
from drophammer.store import Store

FAKE = {
    "interfaces": {kind: {"enabled": ["fake", "noop"], "default": "fake"} for kind in INTERFACES},
    "properties": {"power_delay": "Seconds that the fake power takes."},
}


class Recorder:
    """Stands for the conductor: remembers what was asked of it."""

    def __init__(self) -> None:
        self.provisions: queue.Queue[str] = queue.Queue()
        self.powers: queue.Queue[str] = queue.Queue()

    def provision(self, node_id: int, target: str, request: dict[str, Any]) -> None:
        self.provisions.put(target)

    def power(self, node_id: int, target: str, timeout: int | None) -> None:
        self.powers.put(target)

    def validate(self, node_id: int) -> dict[str, Any]:
        return {kind: {"result": True} for kind in INTERFACES if kind != "vendor"}


@pytest.fixture
def conductor() -> Recorder:
    return Recorder()


@pytest.fixture
def endpoint(tmp_path: Path, conductor: Recorder) -> Iterator[str]:
    store = Store(f"sqlite:///{tmp_path / 'contract.sqlite'}")
    store.migrate()
    with store.write() as session:
        conductors.register(
            session,
            uuid="11111111-2222-3333-4444-555555555555",
            hostname="conductor-1",
            group="",
            hardware_types={"fake-hardware": FAKE},
            now=store.clock.now(),
        )
    bus = LocalBus(threads=2)
    bus.serve("conductor", conductor, "conductor-1")
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = ApiServer(create_app(Settings(locked_pause=0.01), store, bus), [listening])
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()
    bus.close()
    store.close()
