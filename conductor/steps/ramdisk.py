"""Getting a machine into the ramdisk and out of it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor.outcomes import Again, Done, Outcome, Wait
from conductor.steps.power import POLL_SECONDS, reach
from drophammer import bootspec, states
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task

_PURPOSE = {
    states.INSPECTING: bootspec.INSPECT,
    states.CLEANING: bootspec.CLEAN,
    states.DEPLOYING: bootspec.DEPLOY,
    states.SERVICING: bootspec.SERVICE,
    states.RESCUING: bootspec.RESCUE,
}


def boot_ramdisk(task: Task, step: Step) -> Outcome:
    """Off, network boot prepared, on; done when the agent in the ramdisk has called back."""
    if not power_into_ramdisk(task, step):
        return Again(POLL_SECONDS)
    agent = task.agent()
    if agent is None or not agent.url:
        return Wait()
    return Done({"agent_version": agent.version})


def power_into_ramdisk(task: Task, step: Step) -> bool:
    """The part of ``boot_ramdisk`` up to "the machine is on"; True when it is."""
    stage = step.cursor.get("stage", "off")
    if stage == "off":
        if not reach(task, step, "off"):
            return False
        task.note(step, stage="prepare")
        stage = "prepare"
    if stage == "prepare":
        task.driver.boot.prepare(task, _PURPOSE[task.node.provision_state])
        task.note(step, stage="on")
        stage = "on"
    if stage == "on":
        if not reach(task, step, "on"):
            return False
        task.note(step, stage="booting")
    return True


def leave_ramdisk(task: Task, step: Step) -> Outcome:
    """The ramdisk's work is over: machine off, then boot files gone.

    In this order, so that as long as there is a boot spec the machine may be in the
    ramdisk, and without one it is not: a failure's clean-up goes by that.
    """
    if not reach(task, step, "off"):
        return Again(POLL_SECONDS)
    task.driver.boot.clean_up(task)
    return Done()
