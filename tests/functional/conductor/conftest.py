"""A real conductor on a real sqlite store and the in-process bus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer.bus import LocalBus
from drophammer.model import Node, new_uuid
from drophammer.store import Store


class Scene:
    """One conductor and what a test asks of it."""

    def __init__(self, path: Path) -> None:
        self.store = Store(f"sqlite:///{path}/drophammer.sqlite")
        self.store.migrate()
        self.bus = LocalBus()
        self.settings = Settings(host="test", workers=8, heartbeat_interval=5, sweep_interval=5)
        self.process: ConductorProcess | None = None

    def start(self, **changes: Any) -> ConductorProcess:
        self.settings = replace(self.settings, **changes)
        self.process = ConductorProcess(self.settings, self.store, self.bus)
        self.process.start()
        return self.process

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def node(self, state: str = "enroll", **fields: Any) -> int:
        with self.store.write() as session:
            node = Node(
                uuid=new_uuid(),
                driver="fake-hardware",
                provision_state=state,
                created_at=self.store.clock.now(),
                **fields,
            )
            session.add(node)
            session.flush()
            return node.id

    def get(self, node_id: int) -> Node:
        with self.store.read() as session:
            return session.get_one(Node, node_id)

    def provision(self, node_id: int, target: str, **request: Any) -> None:
        self.bus.call(
            "conductor", "provision", node_id=node_id, target=target, request=request
        )

    def until(self, node_id: int, wanted: Callable[[Node], bool], seconds: float = 10) -> Node:
        """The node as soon as ``wanted`` is true of it; fails with what it is otherwise."""
        end = time.monotonic() + seconds
        while True:
            node = self.get(node_id)
            if wanted(node) and node.lease_owner is None:
                return node
            assert time.monotonic() < end, (
                f"still {node.provision_state}, lease {node.lease_purpose}: {node.last_error}"
            )
            time.sleep(0.005)

    def until_state(self, node_id: int, state: str) -> Node:
        return self.until(node_id, lambda node: node.provision_state == state)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.stop()
    scene.bus.close()
    scene.store.close()
