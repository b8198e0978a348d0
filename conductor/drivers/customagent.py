"""Deploy interface ``custom-agent``: the ramdisk is booted and left again; what happens in
between are the steps that somebody names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.bootmode import boot_mode
from conductor.drivers.base import Deploy, StepFunction
from conductor.drivers.direct import boot_instance, tear_down_agent
from conductor.outcomes import Done, Outcome
from conductor.steps.ramdisk import boot_ramdisk
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task


class CustomAgentDeploy(Deploy):
    uses_agent = True

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        if purpose != "deploy":
            return []
        return [
            StepSpec("deploy", "deploy", 100, abortable=True),
            StepSpec("deploy", "prepare_instance_boot", 60),
            StepSpec("deploy", "tear_down_agent", 40),
            StepSpec("deploy", "boot_instance", 20),
        ]

    def functions(self) -> Mapping[str, StepFunction]:
        return {
            "deploy": boot_ramdisk,
            "prepare_instance_boot": boot_from_disk,
            "tear_down_agent": tear_down_agent,
            "boot_instance": boot_instance,
        }


def boot_from_disk(task: Task, step: Step) -> Outcome:
    """The disk as boot device for good. What is on it is the business of the named steps."""
    task.confirm()
    uefi = boot_mode(task.node, task.box.settings) == "uefi"
    task.driver.management.set_boot_device(task.node, "disk", persistent=True, uefi=uefi)
    return Done()
