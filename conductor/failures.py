"""How an operation ends badly: leave the machine safe, say why, give the node back.

Clean-up is best effort and sends commands without waiting for them: a broken
power controller must not keep a node from reaching its failed state.
"""

from __future__ import annotations

import logging

from conductor.task import Task
from drophammer import operations, states
from drophammer.errors import DrophammerError, LeaseLost
from drophammer.model import Step
from drophammer.text import readable

LOG = logging.getLogger(__name__)


def fail(task: Task, step: Step | None, message: str, *, aborted: bool = False) -> None:
    """End the task's operation as failed, or as aborted by the operator."""
    message = readable(message)
    LOG.warning("node %s: %s failed: %s", task.node.uuid, task.operation.verb, message)
    if step is not None:
        with task.box.store.write() as session:
            task.write(session, {})
            operations.set_step(
                session,
                step.id,
                {"state": operations.FAILED, "error": message, "finished_at": task.now()},
            )
    values = _leave_safe(task, None if aborted else step)
    ended = operations.ABORTED if aborted else operations.FAILED
    waiting = task.node.provision_state in states.WAITING
    event = "abort" if aborted and waiting else "fail"
    task.end(None if task.operation.flow == "power" else event, ended, values, message)


def _leave_safe(task: Task, step: Step | None) -> dict[str, object]:
    state = task.node.provision_state
    if state == states.ADOPTING:
        return {"power_state": None}
    if state in (states.DEPLOYING, states.WAIT_CALL_BACK):
        _leave_ramdisk(task, power_off=task.box.settings.power_off_after_deploy_failure)
    elif state in (states.INSPECTING, states.INSPECT_WAIT):
        _leave_ramdisk(task, power_off=True)
    elif state in (states.CLEANING, states.CLEAN_WAIT):
        _leave_ramdisk(task, power_off=True)
        if step is not None and step.interface != "conductor":
            # A half-cleaned disk is for a person to look at (and clients expect the fault).
            return {
                "maintenance": True,
                "maintenance_reason": f"Cleaning failed in step {step.interface}.{step.step}.",
                "fault": "clean failure",
            }
    if task.operation.flow == "power":
        return {"target_power_state": None}
    return {}


def _leave_ramdisk(task: Task, *, power_off: bool) -> None:
    if not task.in_ramdisk():
        return  # Not in it yet: on a rebuild the machine's own system still runs.
    try:
        task.driver.boot.clean_up(task)
        if power_off:
            task.confirm()
            task.driver.power.send(task.node, "off")
            task.update({"power_state": states.POWER_OFF}, event=("power", "off (clean-up)"))
    except LeaseLost:
        raise
    except DrophammerError as error:
        LOG.warning("node %s: clean-up after the failure: %s", task.node.uuid, error.message)
        with task.box.store.write() as session:
            task.write(session, {})
            task.tell(session, "error", readable(f"Clean-up after the failure: {error.message}"))
