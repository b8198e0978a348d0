"""How fake hardware takes its time and fails: what ``[fake]`` and the node tell it to do.

Steps ``pause`` without a thread; what a caller waits for is ``act``-ed on the
caller's thread.
"""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conductor import fakefaults, guard
from conductor.drivers.base import Interface
from conductor.outcomes import Again, Done, Outcome
from conductor.toolbox import Toolbox
from drophammer.errors import Invalid
from drophammer.model import Node, Step

if TYPE_CHECKING:
    from conductor.task import Task

FAULTS = "fake_fault"
PROPERTIES = {
    FAULTS: "What fails on this node, as an object of interface kinds (power, management, deploy, "
    "...) and texts or probabilities from 0 to 1, as in the options [fake] *_fault. Only for "
    "fake hardware.",
}


class Fake(Interface):
    """Any fake interface. A mix-in: its kind comes from the other base."""

    def validate(self, node: Node) -> None:
        faults_of(node)

    def act(self, node: Node) -> None:
        """Take the configured time, on the caller's thread, and fail if told to."""
        seconds = duration(self.box, self.kind)
        if seconds > 0:
            time.sleep(seconds)
        self.strike(node)

    def strike(self, node: Node) -> None:
        """Fail if told to."""
        strike(self.box, node, self.kind)


def pause(task: Task, step: Step, *kinds: str) -> Outcome:
    """Done when the configured delays of ``kinds`` have passed since the step began."""
    if "until" not in step.cursor:
        seconds = sum(duration(task.box, kind) for kind in kinds)
        if seconds > 0:
            until = task.now() + datetime.timedelta(seconds=seconds)
            task.note(step, until=until.isoformat())
    if "until" in step.cursor:
        left = datetime.datetime.fromisoformat(step.cursor["until"]) - task.now()
        if left.total_seconds() > 0:
            return Again(left.total_seconds())
    for kind in kinds:
        strike(task.box, task.node, kind)
    return Done()


def duration(box: Toolbox, kind: str) -> float:
    """How long the fake interface ``kind`` takes this time, in seconds."""
    return random.uniform(*box.settings.fake_delays.get(kind, (0.0, 0.0)))


def strike(box: Toolbox, node: Node, kind: str) -> None:
    """Raise the fault that the node, or else the configuration, has for ``kind``."""
    guard.seconds_left(0)  # A machine that does not exist is spoken to like any other.
    own = faults_of(node)
    fault = own[kind] if kind in own else box.settings.fake_faults.get(kind)
    if fault is not None:
        fault.strike(node.uuid, kind)


def faults_of(node: Node) -> Mapping[str, fakefaults.Fault | None]:
    """The node's own faults. Raises Invalid."""
    told: Any = node.driver_info.get(FAULTS)
    if told is None:
        return {}
    where = f"Node {node.uuid}: driver_info {FAULTS}"
    if not isinstance(told, dict):
        raise Invalid(f"{where} is not an object of interface kinds and faults.")
    return {kind: fakefaults.parse(value, f"{where}/{kind}") for kind, value in told.items()}
