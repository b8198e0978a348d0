"""Deploy interface ``ramdisk``: the instance is a kernel and a ramdisk from the network,
booted anew each time; no disk is written.

Cleaning is that of ``direct``, through the agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.drivers.base import Deploy, StepFunction
from conductor.outcomes import Outcome
from conductor.steps.power import restart
from drophammer.bootspec import check_file_url, check_root_url
from drophammer.errors import Invalid
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task


class RamdiskDeploy(Deploy):
    uses_agent = True

    @classmethod
    def suits(cls, node: Node) -> bool:
        info = node.instance_info
        files = bool(info.get("kernel") and info.get("ramdisk"))
        return bool(info.get("boot_iso")) or (files and not info.get("image_source"))

    def validate(self, node: Node) -> None:
        info = node.instance_info
        if info.get("boot_iso"):
            raise Invalid(
                f"Cannot deploy node {node.uuid}: instance_info boot_iso needs virtual media, "
                "which no driver here has; give kernel and ramdisk instead."
            )
        missing = [name for name in ("kernel", "ramdisk") if not info.get(name)]
        if missing:
            raise Invalid(
                f"Cannot deploy node {node.uuid}: instance_info: {' and '.join(missing)} missing: "
                "the ramdisk deploy interface boots them over the network."
            )
        for name in ("kernel", "ramdisk"):
            check_file_url(str(info[name]), f"Cannot deploy node {node.uuid}: instance_info {name}")
        if info.get("root_image") is not None:
            check_root_url(
                str(info["root_image"]), f"Cannot deploy node {node.uuid}: instance_info root_image"
            )

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        if purpose != "deploy":
            return []
        return [StepSpec("deploy", "deploy", 100, abortable=True)]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"deploy": boot_instance}

    def take_over(self, task: Task) -> None:
        task.driver.boot.prepare_instance(task)

    def restore(self, task: Task) -> None:
        task.driver.boot.prepare_instance(task)


def boot_instance(task: Task, step: Step) -> Outcome:
    """Off, the instance's files offered to the machine's every boot, on."""
    return restart(task, step, lambda: task.driver.boot.prepare_instance(task))
