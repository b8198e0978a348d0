"""Steps around the deployed system that concern no particular driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conductor import images
from conductor.outcomes import Again, Done, Outcome
from conductor.steps.power import POLL_SECONDS, reach
from drophammer import states
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
        task.update({"instance_info": {}, "instance_uuid": None, "instance_name": None})
        task.note(step, cleared=True)
    return Done() if reach(task, step, "off") else Again(POLL_SECONDS)


def begin_cleaning(task: Task, step: Step) -> Outcome:
    """From "deleting" to "cleaning": the system is gone, its traces follow."""
    if task.node.provision_state != states.CLEANING:
        task.fire("clean")
    if task.driver.deploy.uses_agent and task.has_more_steps(step):
        task.driver.boot.validate(task.node)
    return Done()


def adopt_instance(task: Task, step: Step) -> Outcome:
    """Check what a later rebuild or deletion needs; the running system is left alone."""
    task.driver.power.validate(task.node)
    if task.driver.deploy.uses_agent:
        images.validate(task.node)
    task.update({"power_state": task.driver.power.state(task.node)})
    return Done()
