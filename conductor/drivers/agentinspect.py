"""Inspect interface ``agent``: the ramdisk collects the facts and posts them to the API."""

from __future__ import annotations

from conductor.drivers.base import Inspect
from drophammer.model import Node
from drophammer.operations import StepSpec


class AgentInspect(Inspect):
    uses_agent = True

    def inspect_steps(self, node: Node) -> list[StepSpec]:
        return [
            StepSpec("conductor", name, source="conductor")
            for name in ("await_inventory", "record_facts", "leave_ramdisk")
        ]
