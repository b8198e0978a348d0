"""Steps around the deployed system that concern no particular driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor import images, undeploy
from conductor.outcomes import Again, Done, Outcome
from conductor.steps.power import POLL_SECONDS, reach
from conductor.steps.ramdisk import leave_ramdisk
from drophammer import states
from drophammer.errors import DrophammerError
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task


def check_image(task: Task, step: Step) -> Outcome:
    """Is the image where the node's instance_info says? Asked before the machine is touched."""
    size = images.check_reachable(task.box.namespace, task.node)
    return Done({"size": size})


def tear_down_instance(task: Task, step: Step) -> Outcome:
    """Machine off, and everything that belonged to the deployed system forgotten."""
    if "cleared" not in step.cursor:
        task.driver.boot.clean_up(task)
        undeploy.forget_instance(task, step)
    return Done() if reach(task, step, "off") else Again(POLL_SECONDS)


def begin_cleaning(task: Task, step: Step) -> Outcome:
    """From "deleting" to "cleaning": the system is gone, its traces follow."""
    if task.node.provision_state == states.CLEANING:
        return Done()  # That was written when this process's predecessor died.
    if task.driver.deploy.uses_agent and task.steps_behind(step):
        try:
            task.driver.boot.validate(task.node)
        except DrophammerError:
            task.fire("clean")  # It is cleaning that failed: the system is given up.
            raise
    return Done(event="clean")


def adopt_instance(task: Task, step: Step) -> Outcome:
    """Check what a later rebuild or deletion needs; the running system is left alone."""
    task.driver.power.validate(task.node)
    task.driver.deploy.validate(task.node)
    task.driver.deploy.restore(task)
    task.update({"power_state": task.driver.power.state(task.node)})
    return Done()


def restore_instance(task: Task, step: Step) -> Outcome:
    """From the ramdisk back to the deployed system."""
    if "left" not in step.cursor:
        outcome = leave_ramdisk(task, step)
        if not isinstance(outcome, Done):
            return outcome
        task.driver.deploy.restore(task)
        task.note(step, left=True)
    return Done() if reach(task, step, "on") else Again(POLL_SECONDS)
