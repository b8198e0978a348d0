"""Steps around the deployed system that concern no particular driver."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from conductor import images, undeploy
from conductor.outcomes import Again, Done, Outcome
from conductor.steps.power import switch, was_sent
from conductor.steps.ramdisk import leave_ramdisk
from drophammer import states
from drophammer.errors import DrophammerError, ImageError, LeaseLost, Unavailable
from drophammer.model import Step
from drophammer.text import readable

if TYPE_CHECKING:
    from conductor.task import Task

# With the pause after "try again later" (settings.retry_seconds) ten seconds.
IMAGE_TRIES = 2


def check_image(task: Task, step: Step) -> Outcome:
    """Is the image where the node's instance_info says? Asked before the machine is touched.

    A server that is just being restarted is waited for, ten seconds and not for as long as a
    deployment may take: most often it is the URL that is wrong.
    """
    try:
        size = images.check_reachable(task.box.namespace, task.node)
    except Unavailable as error:
        tries = int(step.cursor.get("tries", 0)) + 1
        if tries > IMAGE_TRIES:
            raise ImageError(error.message) from error
        task.note(step, tries=tries)
        raise
    return Done({"size": size})


def tear_down_instance(task: Task, step: Step) -> Outcome:
    """Machine off, and everything that belonged to the deployed system forgotten."""
    if not was_sent(step, "off"):
        if task.node.console_enabled:
            _stop_console(task)
        task.driver.boot.clean_up(task)
    outcome = switch(task, step, "off")
    if isinstance(outcome, Again):
        return outcome

    def along(session: Session) -> None:
        undeploy.free(task, session)
        if outcome.along is not None:
            outcome.along(session)

    return replace(outcome, values={**outcome.values, **undeploy.GONE}, along=along)


def _stop_console(task: Task) -> None:
    """End what shows the system's screen to whoever had it; the node keeps its wish for one."""
    try:
        if task.driver.has("console"):
            task.confirm()
            task.driver.console.stop(task.node)
    except LeaseLost:
        raise
    except DrophammerError as error:
        # The system goes in any case, and with it what the console shows.
        task.update({}, event=("console", readable(f"It could not be stopped: {error.message}")))


def begin_cleaning(task: Task, step: Step) -> Outcome:
    """From "deleting" to "cleaning": the system is gone, its traces follow."""
    if task.node.provision_state == states.CLEANING:
        return Done()  # That was written when this process's predecessor died.
    refusal = _no_cleaning(task, step)
    if refusal is not None:
        task.fire("clean")  # It is cleaning that failed: the system is given up.
        raise refusal
    return Done(event="clean")


def cleaning_begins(task: Task, step: Step) -> Done | None:
    """The same when nothing stands in its way."""
    return Done(event="clean") if _no_cleaning(task, step) is None else None


def _no_cleaning(task: Task, step: Step) -> DrophammerError | None:
    # What the instance had chosen has no say in it, forgotten or not.
    driver = task.driver.without_instance()
    if driver.deploy.uses_agent and task.steps_behind(step):
        try:
            driver.boot.validate(driver.node)
        except DrophammerError as error:
            return error
    return None


def adopt_instance(task: Task, step: Step) -> Outcome:
    """Check what a later rebuild or deletion needs; the running system is left alone."""
    task.driver.power.validate(task.node)
    if not task.driver.storage.offer(task):
        task.driver.deploy.validate(task.node)
        task.driver.deploy.take_over(task)
    return Done(values={"power_state": task.driver.power.state(task.node)})


def restore_instance(task: Task, step: Step) -> Outcome:
    """From the ramdisk back to the deployed system."""
    if "left" not in step.cursor:
        outcome = leave_ramdisk(task, step)
        if not isinstance(outcome, Done):
            return outcome
        if not task.driver.storage.offer(task):
            task.driver.deploy.restore(task)
        task.note(step, left=True)
    return switch(task, step, "on")
