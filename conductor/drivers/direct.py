"""Deploy interface ``direct``: the agent fetches the image itself and writes it to its disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor import configdrive, images
from conductor.bootmode import boot_mode
from conductor.drivers.base import Deploy, StepFunction
from conductor.outcomes import Again, Done, Outcome
from conductor.payload import node_for_agent, ports_for_agent
from conductor.steps.agent import ask, need_agent, run_command
from conductor.steps.power import POLL_SECONDS, reach
from conductor.steps.ramdisk import boot_ramdisk, leave_ramdisk
from drophammer import states
from drophammer.errors import AgentError, AgentUnreachable
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

# A ramdisk that was told to shut down and does not is switched off after this.
SOFT_SECONDS = 30.0
# The machine may be off before its answer is out.
ANSWER_SECONDS = 3.0


class DirectDeploy(Deploy):
    uses_agent = True

    def validate(self, node: Node) -> None:
        images.validate(node)

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        if purpose != "deploy":
            return []
        return [
            StepSpec("conductor", "check_image", source="conductor"),
            StepSpec("deploy", "deploy", 100, abortable=True),
            StepSpec("deploy", "write_image", 80, abortable=True),
            StepSpec("deploy", "prepare_instance_boot", 60),
            StepSpec("deploy", "tear_down_agent", 40),
            StepSpec("deploy", "boot_instance", 20),
        ]

    def functions(self) -> Mapping[str, StepFunction]:
        return {
            "deploy": boot_ramdisk,
            "write_image": write_image,
            "prepare_instance_boot": prepare_instance_boot,
            "tear_down_agent": tear_down_agent,
            "boot_instance": boot_instance,
        }


def write_image(task: Task, step: Step) -> Outcome:
    """Have the agent write image and config drive; journalled by the command's id."""
    if "command" in step.cursor:
        return run_command(task, step, "deploy.execute_deploy_step", {})
    node, ports = node_for_agent(task.node), ports_for_agent(task.ports())
    if "version" not in step.cursor:
        offered = ask(task, "deploy.get_deploy_steps", {"node": node, "ports": ports})
        task.note(step, version=offered.get("hardware_manager_version"))
    info = images.image_info(task.node, stream_raw=task.box.settings.stream_raw_images)
    drive = configdrive.for_agent(task.node)
    params = {
        "step": {
            "interface": "deploy",
            "step": "write_image",
            "args": {"image_info": info, "configdrive": drive},
        },
        "node": node,
        "ports": ports,
        "deploy_version": step.cursor["version"],
    }
    return run_command(task, step, "deploy.execute_deploy_step", params)


def prepare_instance_boot(task: Task, step: Step) -> Outcome:
    """The firmware's boot entry on UEFI machines, and the disk as boot device for good."""
    uefi = boot_mode(task.node, task.box.settings) == "uefi"
    if uefi:
        outcome = _install_bootloader(task, step)
        if not isinstance(outcome, Done):
            return outcome
    task.confirm()
    task.driver.management.set_boot_device(task.node, "disk", persistent=True, uefi=uefi)
    return Done()


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


def tear_down_agent(task: Task, step: Step) -> Outcome:
    """Shut the ramdisk down; by force when it does not go."""
    if "asked" not in step.cursor:
        try:
            task.box.agents.run(
                need_agent(task), "standby.power_off", {}, wait=False, timeout=ANSWER_SECONDS
            )
        except AgentUnreachable:
            pass  # It may have gone before it could answer; the power state decides.
        except AgentError as error:
            task.note(step, refused=error.message)
        task.note(step, asked=task.now().timestamp())
    waited = task.now().timestamp() - step.cursor["asked"]
    patient = waited < SOFT_SECONDS and "refused" not in step.cursor
    if patient and task.driver.power.state(task.node) != states.POWER_OFF:
        return Again(POLL_SECONDS)
    return leave_ramdisk(task, step)


def boot_instance(task: Task, step: Step) -> Outcome:
    """Power on: the machine is its new system's from here."""
    return Done() if reach(task, step, "on") else Again(POLL_SECONDS)
