"""Steps that switch a machine, and the way to a power state that others share."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from conductor import announce, caches
from conductor.outcomes import Again, Done, Outcome
from conductor.wish import MEANT
from drophammer import states
from drophammer.errors import BmcUnreachable, DrophammerError, HardwareError, LeaseLost
from drophammer.model import Step
from drophammer.notifications import END, ERROR, START

if TYPE_CHECKING:
    from conductor.task import Task

POLL_SECONDS = 0.25
RESEND_SECONDS = 15.0
_WANTED = {"on": states.POWER_ON, "off": states.POWER_OFF}


def verify_power(task: Task, step: Step) -> Outcome:
    """Ask the power controller for the power state: does it answer, are the credentials right?"""
    state = task.driver.power.state(task.node)
    news = caches.news(task)

    def along(session: Session) -> None:
        if news is not None:
            news(session)
        task.tell(session, "power", f"the controller answers: {state}")

    return Done({"power_state": state}, values={"power_state": state}, along=along)


def change_power(task: Task, step: Step) -> Outcome:
    """What the operator asked for with ``PUT states/power``."""
    request = task.operation.request
    target = str(request["target"])
    soft = target.startswith("soft")
    settings = task.box.settings
    off_seconds = request.get("timeout") or (
        settings.soft_power_timeout if soft else settings.power_timeout
    )
    off = "soft" if soft else "off"
    if target.endswith(states.POWER_OFF):
        return _asked_for(switch(task, step, "off", action=off, seconds=float(off_seconds)))
    if target != states.POWER_ON and "was_off" not in step.cursor:
        if not reach(task, step, "off", action=off, seconds=float(off_seconds)):
            return Again(POLL_SECONDS)
        task.note(step, was_off=True)
    seconds = float(request.get("timeout") or settings.power_timeout)
    return _asked_for(switch(task, step, "on", seconds=seconds))


def _asked_for(outcome: Done | Again) -> Outcome:
    """The outcome; done, the operator's wish is no longer shown as one."""
    if isinstance(outcome, Again):
        return outcome
    return replace(outcome, values={**outcome.values, "target_power_state": None})


def switch(
    task: Task, step: Step, wanted: str, *, action: str | None = None, seconds: float | None = None
) -> Done | Again:
    """The same as ``reach``, as the last thing that a step has to do."""
    values = _reached(task, step, wanted, action, seconds)
    if values is None:
        return Again(POLL_SECONDS)
    return Done(values=values, along=_is(task, wanted) if values else None)


def restart(task: Task, step: Step, prepare: Callable[[], None]) -> Done | Again:
    """Off, ``prepare`` what the machine is to find, on; whoever takes it up goes on from there."""
    stage = step.cursor.get("stage", "off")
    if stage == "off":
        if not reach(task, step, "off"):
            return Again(POLL_SECONDS)
        task.note(step, stage="prepare")
        stage = "prepare"
    if stage == "prepare":
        prepare()
        task.note(step, stage="on")
    return switch(task, step, "on")


def reach(
    task: Task, step: Step, wanted: str, *, action: str | None = None, seconds: float | None = None
) -> bool:
    """Bring the machine to ``wanted`` ("on" or "off"); True when the hardware says so.

    The first visit sends the command, the later ones ask, and send it again now and
    then, and when the one who sent it is gone. Raises HardwareError when the state is
    not reached within ``seconds``.
    """
    values = _reached(task, step, wanted, action, seconds)
    if values:
        task.update(values, event=("power", f"is {wanted}"))
    return values is not None


def was_sent(step: Step, wanted: str) -> bool:
    """Whether a command to bring the machine to ``wanted`` was noted as sent, by whomever."""
    return f"{wanted}_sent" in step.cursor


def _may_be_sent(task: Task, step: Step, wanted: str) -> bool:
    """The same, or somebody who is gone was about to send one."""
    return was_sent(step, wanted) or (_is_meant(step, wanted) and not task.is_new)


def _is_meant(step: Step, wanted: str) -> bool:
    return MEANT.format(wanted) in step.cursor


def _reached(
    task: Task, step: Step, wanted: str, action: str | None, seconds: float | None
) -> dict[str, Any] | None:
    """The columns that are news when the hardware says so; None while it does not."""
    try:
        values = _pursued(task, step, wanted, action, seconds)
    except LeaseLost:
        raise  # Somebody else goes on, and tells how it ends.
    except DrophammerError:
        announce.power(task, _WANTED[wanted], ERROR)
        raise
    if values and _may_be_sent(task, step, wanted):
        announce.power(task, _WANTED[wanted], END)
    return values


def _pursued(
    task: Task, step: Step, wanted: str, action: str | None, seconds: float | None
) -> dict[str, Any] | None:
    state = _WANTED[wanted]
    # What a conductor before this one sent may not have arrived, and the time in which
    # nobody looked says nothing about the machine: it is sent again, and waited for anew.
    ours = step.cursor.get(f"{wanted}_by") == task.box.holder.uuid
    sent = step.cursor.get(f"{wanted}_sent") if ours else None
    limit = seconds if seconds is not None else task.box.settings.power_timeout
    waited = _seconds_since(task, sent)
    actual = _ask(task, patient=_may_be_sent(task, step, wanted) and waited <= limit)
    again = _seconds_since(task, step.cursor.get(f"{wanted}_last")) > RESEND_SECONDS
    if actual != state and (sent is None or again):
        # Noted first: whether a command arrived that was answered by silence, or whose
        # sender died, shows in the power state.
        now = task.now().isoformat()
        marked, sent = sent is not None, sent or now
        _mark(task, step, wanted, {"sent": sent, "last": now, "by": task.box.holder.uuid})
        if not marked:
            announce.power(task, state, START)
        with contextlib.suppress(BmcUnreachable):
            task.driver.power.send(task.node, action or wanted)
        actual = _ask(task, patient=True)
    if actual == state:
        news = sent is not None or task.node.power_state != state
        return {"power_state": state} if news else {}
    if waited > limit:
        raise HardwareError(
            f"Told node {task.node.uuid} to power {wanted} {waited:.0f} s ago; its controller "
            f"still answers '{actual or 'nothing'}'. Look at the machine's console, or power it "
            "by hand."
        )
    return None


def _mark(task: Task, step: Step, wanted: str, marks: dict[str, str]) -> None:
    """Note a command before it is sent; that a step begins with it was journalled with the step."""
    told = {f"{wanted}_{name}": value for name, value in marks.items()}
    if task.is_new and _is_meant(step, wanted) and not was_sent(step, wanted):
        task.confirm()
        step.cursor = {**step.cursor, **told}
    else:
        task.note(step, **told)


def _is(task: Task, wanted: str) -> Callable[[Session], None]:
    return lambda session: task.tell(session, "power", f"is {wanted}")


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
