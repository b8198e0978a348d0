"""What deployments through an agent have in common: into the ramdisk, what is to be done
there, and out of it into the new system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.bootmode import boot_mode
from conductor.drivers.base import Deploy, StepFunction
from conductor.outcomes import Again, Done, Outcome
from conductor.steps.agent import need_agent
from conductor.steps.power import POLL_SECONDS, switch
from conductor.steps.ramdisk import boot_ramdisk, leave_ramdisk
from drophammer import states
from drophammer.errors import AgentBusy, AgentError, AgentUnreachable
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

# A ramdisk that was told to shut down and does not is switched off after this.
SOFT_SECONDS = 30.0
# The machine may be off before its answer is out.
ANSWER_SECONDS = 3.0


class AgentDeploy(Deploy):
    """Between ``deploy`` and ``prepare_instance_boot`` comes what a subclass or somebody names."""

    uses_agent = True

    def steps(self, node: Node, purpose: str) -> list[StepSpec]:
        if purpose != "deploy":
            return []
        return [
            StepSpec("deploy", "deploy", 100, abortable=True),
            StepSpec("deploy", "prepare_instance_boot", 60, abortable=True),
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

    def restore(self, task: Task) -> None:
        # To boot the ramdisk once the controller was told the network, and it knows one device.
        _choose_disk(task)


def boot_from_disk(task: Task, step: Step) -> Outcome:
    """The disk as boot device for good; whatever is on it."""
    _choose_disk(task)
    return Done()


def _choose_disk(task: Task) -> None:
    task.confirm()
    uefi = boot_mode(task.node, task.box.settings) == "uefi"
    task.driver.management.set_boot_device(task.node, "disk", persistent=True, uefi=uefi)


def tear_down_agent(task: Task, step: Step) -> Outcome:
    """Shut the ramdisk down; by force when it does not go."""
    if "asked" not in step.cursor:
        try:
            task.box.agents.run(
                need_agent(task), "standby.power_off", {}, wait=False, timeout=ANSWER_SECONDS
            )
        except (AgentUnreachable, AgentBusy):
            # It may have gone before it could answer, or is going, told by a conductor
            # before this one; the power state decides.
            pass
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
    return switch(task, step, "on")
