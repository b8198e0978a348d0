"""The one step of a deployment onto a volume: nothing is written, the machine boots from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor.outcomes import Outcome
from conductor.steps.power import restart
from drophammer.errors import Invalid
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task


def boot_volume(task: Task, step: Step) -> Outcome:
    """Off, the volume offered to the machine's every boot, on."""
    return restart(task, step, lambda: _offer(task))


def _offer(task: Task) -> None:
    if not task.driver.storage.offer(task):
        raise Invalid(
            f"Node {task.node.uuid} has no volume target with boot_index 0 any more; add it, "
            "and deploy again."
        )
