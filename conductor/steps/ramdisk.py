"""Getting a machine into the ramdisk and out of it again."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conductor.outcomes import Again, Done, Outcome, Wait
from conductor.steps.power import POLL_SECONDS, reach
from drophammer import bootspec, states
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.settings import Settings
    from conductor.task import Task

BOOTING = "booting"
# What has not come up three times will hardly do so the fourth time.
MAX_BOOTS = 3
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
        return wait_for_ramdisk(task, step)
    return Done({"agent_version": agent.version})


def wait_for_ramdisk(task: Task, step: Step) -> Outcome:
    """Wait for the ramdisk's word; when it should have come long ago, boot the machine again."""
    if not is_lost(task.box.settings, step.cursor, task.now()):
        return Wait()
    if task.node.provision_state in states.WAITING:
        task.fire("resume")
    # Power is switched as for the first time: nothing of that counts for this time.
    marks = {f"{way}_{mark}": None for way in ("off", "on") for mark in ("sent", "last", "by")}
    boots = step.cursor.get("boots", 1) + 1
    task.note(step, **marks, stage="off", boots=boots)
    seconds = task.box.settings.boot_retry_timeout
    text = f"the ramdisk did not call back within {seconds:g} s: boot {boots} of {MAX_BOOTS}"
    task.update({}, event=("boot", text))
    return Again(0)


def is_lost(settings: Settings, cursor: Mapping[str, Any], now: datetime.datetime) -> bool:
    """Whether a machine that was booted, and whose ramdisk is silent, is to be booted again.

    Firmware that asked the network while nobody answered may stand still for ever, and so may
    a ramdisk whose token was lost on its way. To begin again does no harm: it has been told
    nothing yet.
    """
    patience = settings.boot_retry_timeout
    if not patience or cursor.get("stage") != BOOTING or cursor.get("boots", 1) >= MAX_BOOTS:
        return False
    booted = cursor.get("booted")
    if booted is None:
        return False
    return (now - datetime.datetime.fromisoformat(booted)).total_seconds() >= patience


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
        task.note(step, stage=BOOTING, booted=task.now().isoformat())
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
