"""Steps that switch a machine, and the way to a power state that others share."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from conductor.outcomes import Again, Done, Outcome
from drophammer import states
from drophammer.errors import HardwareError
from drophammer.model import Step

if TYPE_CHECKING:
    from conductor.task import Task

POLL_SECONDS = 0.25
_WANTED = {"on": states.POWER_ON, "off": states.POWER_OFF}


def verify_power(task: Task, step: Step) -> Outcome:
    """Ask the power controller for the power state: does it answer, are the credentials right?"""
    state = task.driver.power.state(task.node)
    task.update({"power_state": state}, event=("power", f"the controller answers: {state}"))
    return Done({"power_state": state})


def power_off(task: Task, step: Step) -> Outcome:
    """Switch the machine off and see that it is."""
    return Done() if reach(task, step, "off") else Again(POLL_SECONDS)


def change_power(task: Task, step: Step) -> Outcome:
    """What the operator asked for with ``PUT states/power``."""
    request = task.operation.request
    target = str(request["target"])
    soft = target.startswith("soft")
    off_seconds = request.get("timeout") or (
        task.box.settings.soft_power_timeout if soft else task.box.settings.power_timeout
    )
    if target != states.POWER_ON and not reach(
        task, step, "off", action="soft" if soft else "off", seconds=float(off_seconds)
    ):
        return Again(POLL_SECONDS)
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

    The first visit sends the command, the later ones ask. Raises HardwareError
    when the state is not reached within ``seconds``.
    """
    state = _WANTED[wanted]
    sent = step.cursor.get(f"{wanted}_sent")
    actual = task.driver.power.state(task.node)
    if actual == state:
        if sent is not None or task.node.power_state != state:
            task.update({"power_state": state}, event=("power", f"is {wanted}"))
        return True
    if sent is None:
        task.driver.power.send(task.node, action or wanted)
        task.note(step, **{f"{wanted}_sent": task.now().isoformat()})
        return _settled(task, state, wanted)
    waited = (task.now() - datetime.datetime.fromisoformat(sent)).total_seconds()
    limit = seconds if seconds is not None else task.box.settings.power_timeout
    if waited > limit:
        raise HardwareError(
            f"Told node {task.node.uuid} to power {wanted} {waited:.0f} s ago; its controller "
            f"still answers '{actual}'. Look at the machine's console, or power it by hand."
        )
    return False


def _settled(task: Task, state: str, wanted: str) -> bool:
    """Many controllers switch at once; asking right away saves a visit."""
    if task.driver.power.state(task.node) != state:
        return False
    task.update({"power_state": state}, event=("power", f"is {wanted}"))
    return True
