"""Fake console and fake storage."""

from __future__ import annotations

from typing import Any

from conductor.drivers.base import Console, Storage
from conductor.drivers.fake.acting import Fake
from drophammer.model import Node


class FakeConsole(Fake, Console):
    """A console that shows nothing. It is quick: there is no option for a delay."""

    def start(self, node: Node) -> None:
        self.act(node)

    def stop(self, node: Node) -> None:
        self.act(node)

    def info(self, node: Node) -> dict[str, Any]:
        return {"type": "fake", "url": f"fake://{node.uuid}/console"}


class FakeStorage(Fake, Storage):
    """Volumes that are attached by waiting: [fake] storage_delay is part of a fake deployment."""
