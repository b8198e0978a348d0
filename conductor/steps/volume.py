"""The one step of a deployment onto a volume: nothing is written, the machine boots from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor.outcomes import Again, Outcome
from conductor.steps.power import POLL_SECONDS, reach, switch
from drophammer.errors import Invalid
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task


def boot_volume(task: Task, step: Step) -> Outcome:
    """Off, the volume offered to the machine's every boot, on."""
    stage = step.cursor.get("stage", "off")
    if stage == "off":
        if not reach(task, step, "off"):
            return Again(POLL_SECONDS)
        task.note(step, stage="prepare")
        stage = "prepare"
    if stage == "prepare":
        if not task.driver.storage.offer(task):
            raise Invalid(
                f"Node {task.node.uuid} has no volume target with boot_index 0 any more; add it, "
                "and deploy again."
            )
        task.note(step, stage="on")
    return switch(task, step, "on")
