"""Steps that switch a machine, and the way to a power state that others share."""

from __future__ import annotations

import contextlib
import datetime
from typing import TYPE_CHECKING

from conductor import caches
from conductor.outcomes import Again, Done, Outcome
from drophammer import states
from drophammer.errors import BmcUnreachable, HardwareError
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task

POLL_SECONDS = 0.25
RESEND_SECONDS = 15.0
_WANTED = {"on": states.POWER_ON, "off": states.POWER_OFF}


def verify_power(task: Task, step: Step) -> Outcome:
    """Ask the power controller for the power state: does it answer, are the credentials right?"""
    state = task.driver.power.state(task.node)
    task.update({"power_state": state}, event=("power", f"the controller answers: {state}"))
    caches.refresh(task)
    return Done({"power_state": state})


def change_power(task: Task, step: Step) -> Outcome:
    """What the operator asked for with ``PUT states/power``."""
    request = task.operation.request
    target = str(request["target"])
    soft = target.startswith("soft")
    off_seconds = request.get("timeout") or (
        task.box.settings.soft_power_timeout if soft else task.box.settings.power_timeout
    )
    if target != states.POWER_ON and "was_off" not in step.cursor:
        if not reach(
            task, step, "off", action="soft" if soft else "off", seconds=float(off_seconds)
        ):
            return Again(POLL_SECONDS)
        task.note(step, was_off=True)
    if target.endswith(states.POWER_OFF):
        task.update({"target_power_state": None})
        return Done()
    seconds = float(request.get("timeout") or task.box.settings.power_timeout)
    if not reach(task, step, "on", seconds=seconds):
        return Again(POLL_SECONDS)
    task.update({"target_power_state": None})
    return Done()


def reach(
    task: Task, step: Step, wanted: str, *, action: str | None = None, seconds: float | None = None
) -> bool:
    """Bring the machine to ``wanted`` ("on" or "off"); True when the hardware says so.

    The first visit sends the command, the later ones ask, and send it again now and
    then. Raises HardwareError when the state is not reached within ``seconds``.
    """
    state = _WANTED[wanted]
    sent = step.cursor.get(f"{wanted}_sent")
    limit = seconds if seconds is not None else task.box.settings.power_timeout
    waited = _seconds_since(task, sent)
    actual = _ask(task, patient=sent is not None and waited <= limit)
    again = _seconds_since(task, step.cursor.get(f"{wanted}_sent_again") or sent) > RESEND_SECONDS
    if actual != state and (sent is None or again):
        # Noted first: whether a command arrived that was answered by silence, or whose
        # sender died, shows in the power state.
        mark = f"{wanted}_sent" if sent is None else f"{wanted}_sent_again"
        task.note(step, **{mark: task.now().isoformat()})
        with contextlib.suppress(BmcUnreachable):
            task.driver.power.send(task.node, action or wanted)
        actual = _ask(task, patient=True)
        sent = sent or step.cursor[mark]
    if actual == state:
        if sent is not None or task.node.power_state != state:
            task.update({"power_state": state}, event=("power", f"is {wanted}"))
        return True
    if waited > limit:
        raise HardwareError(
            f"Told node {task.node.uuid} to power {wanted} {waited:.0f} s ago; its controller "
            f"still answers '{actual or 'nothing'}'. Look at the machine's console, or power it "
            "by hand."
        )
    return False


def _ask(task: Task, *, patient: bool) -> str | None:
    """The power state; None when the controller is silent and that is no reason to give up.

    Many controllers are silent for a while after they have switched.
    """
    try:
        return task.driver.power.state(task.node)
    except BmcUnreachable:
        if not patient:
            raise
        return None


def _seconds_since(task: Task, moment: str | None) -> float:
    if moment is None:
        return 0.0
    return (task.now() - datetime.datetime.fromisoformat(moment)).total_seconds()
