"""Fake power and fake boot."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.drivers.base import Boot, Power, StepFunction
from conductor.drivers.fake.acting import Fake, duration, pause
from conductor.outcomes import Done, Outcome
from conductor.steps.power import switch
from drophammer import states
from drophammer.errors import BmcUnreachable
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task
    from conductor.toolbox import Toolbox

# Whoever switches a machine has written its row by then.
_NEWS_SECONDS = 60.0


class FakePower(Fake, Power):
    """Does what it is told, after [fake] power_delay; before that, it is as its row says.

    The row is what it knows of a machine; only what is still to happen is in memory.
    When that is lost the machine stays as it was, and is told again.
    """

    def __init__(self, box: Toolbox) -> None:
        super().__init__(box)
        # By node: when it will be switched, to what, and what its row said before.
        self._coming: dict[str, tuple[float, str, str | None]] = {}

    def state(self, node: Node) -> str:
        self.strike(node)
        known = node.power_state if node.power_state == states.POWER_ON else states.POWER_OFF
        coming = self._coming.get(node.uuid)
        if coming is None:
            return known
        due, wanted, before = coming
        if node.power_state != before or time.monotonic() > due + _NEWS_SECONDS:
            self._coming.pop(node.uuid, None)  # Its row has the news, or newer ones.
            return known
        return wanted if time.monotonic() >= due else known

    def send(self, node: Node, action: str) -> None:
        self.strike(node)
        wanted = states.POWER_ON if action in ("on", "reset") else states.POWER_OFF
        due = time.monotonic() + duration(self.box, "power")
        self._coming[node.uuid] = (due, wanted, node.power_state)

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        return [StepSpec("power", "reset")] if purpose in ("clean", "service") else []

    def functions(self) -> Mapping[str, StepFunction]:
        return {"reset": self._reset}

    def _reset(self, task: Task, step: Step) -> Outcome:
        if "reset_sent" not in step.cursor:
            outcome = pause(task, step, "power")
            if not isinstance(outcome, Done):
                return outcome
            task.note(step, reset_sent=task.now().isoformat())
            with contextlib.suppress(BmcUnreachable):
                task.driver.power.send(task.node, "reset")
        return switch(task, step, "on")


class FakeBoot(Fake, Boot):
    """Boots nothing, in [fake] boot_delay."""

    def prepare(self, task: Task, purpose: str) -> None:
        self.act(task.node)

    def clean_up(self, task: Task) -> None:
        """Nothing was prepared."""

    def prepare_instance(self, task: Task) -> None:
        self.act(task.node)
