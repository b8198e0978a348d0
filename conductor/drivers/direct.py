"""Deploy interface ``direct``: the agent fetches the image itself and writes it to its disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conductor import configdrive, images
from conductor.bootmode import boot_mode
from conductor.drivers.agentdeploy import AgentDeploy, boot_from_disk
from conductor.drivers.base import StepFunction
from conductor.outcomes import Done, Outcome
from conductor.payload import node_for_agent, ports_for_agent
from conductor.steps.agent import StepsChanged, ask, need_agent, run_command
from conductor.steps.agentsteps import plan_again
from drophammer.model import Node, Step
from drophammer.operations import ROOT_DEVICE, StepSpec

if TYPE_CHECKING:
    from conductor.task import Task


class DirectDeploy(AgentDeploy):
    def validate(self, node: Node) -> None:
        images.validate(node)

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        if purpose != "deploy":
            return []
        into_ramdisk, *out_of_it = super().steps(node, purpose)
        return [
            StepSpec("conductor", "check_image", source="conductor"),
            into_ramdisk,
            StepSpec("deploy", "write_image", 80, abortable=True, destroys=ROOT_DEVICE),
            *out_of_it,
        ]

    def functions(self) -> Mapping[str, StepFunction]:
        return {
            **super().functions(),
            "write_image": write_image,
            "prepare_instance_boot": prepare_instance_boot,
        }


def write_image(task: Task, step: Step) -> Outcome:
    """Have the agent write image and config drive; journalled by the command's id."""
    if "command" in step.cursor:
        return _written(task, step, {})
    info = images.image_info(task.node, stream_raw=task.box.settings.stream_raw_images)
    drive = configdrive.for_agent(task.node)
    params = {
        "step": {
            "interface": "deploy",
            "step": "write_image",
            "args": {"image_info": info, "configdrive": drive},
        },
        "node": node_for_agent(task.node),
        "ports": ports_for_agent(task.ports()),
        "deploy_version": need_agent(task).step_version or {},
    }
    return _written(task, step, params)


def _written(task: Task, step: Step, params: dict[str, Any]) -> Outcome:
    try:
        return run_command(task, step, "deploy.execute_deploy_step", params)
    except StepsChanged as changed:
        return plan_again(task, step, changed)


def prepare_instance_boot(task: Task, step: Step) -> Outcome:
    """The firmware's boot entry on UEFI machines, and the disk as boot device for good."""
    if boot_mode(task.node, task.box.settings) == "uefi":
        outcome = _install_bootloader(task, step)
        if not isinstance(outcome, Done):
            return outcome
    return boot_from_disk(task, step)


def _install_bootloader(task: Task, step: Step) -> Outcome:
    if "identifiers" not in step.cursor:
        task.note(step, identifiers=ask(task, "standby.get_partition_uuids", {}))
    found = step.cursor["identifiers"]
    return run_command(
        task,
        step,
        "image.install_bootloader",
        {
            "root_uuid": found.get("root uuid"),
            "efi_system_part_uuid": found.get("efi system partition uuid"),
            "prep_boot_part_uuid": found.get("PReP Boot partition uuid"),
            "target_boot_mode": "uefi",
        },
    )
