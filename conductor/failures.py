"""How an operation ends badly: leave the machine safe, say why, give the node back.

Clean-up is best effort and sends commands without waiting for them: a broken
power controller must not keep a node from reaching its failed state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from conductor import rescuing, undeploy
from conductor.plans import BESIDE
from conductor.task import Task
from drophammer import operations, states
from drophammer.errors import DrophammerError, LeaseLost
from drophammer.model import Step
from drophammer.text import readable

LOG = logging.getLogger(__name__)

# What was being done, by the state it is done in.
_KIND = {
    states.ADOPTING: "adopt",
    states.CLEANING: "clean",
    states.CLEAN_WAIT: "clean",
    states.CLEAN_HOLD: "clean",
    states.DELETING: "delete",
    states.DEPLOYING: "deploy",
    states.WAIT_CALL_BACK: "deploy",
    states.DEPLOY_HOLD: "deploy",
    states.INSPECTING: "inspect",
    states.INSPECT_WAIT: "inspect",
    states.RESCUING: "rescue",
    states.RESCUE_WAIT: "rescue",
    states.SERVICING: "service",
    states.SERVICE_WAIT: "service",
    states.SERVICE_HOLD: "service",
}


def fail(task: Task, step: Step | None, message: str, *, aborted: bool = False) -> None:
    """End the task's operation as failed, or as aborted by the operator."""
    message = readable(message)
    LOG.warning("node %s: %s failed: %s", task.node.uuid, task.operation.verb, message)
    values = _leave_safe(task, None if aborted else step, aborted=aborted)
    ended = operations.ABORTED if aborted else operations.FAILED
    paused = task.node.provision_state in states.WAITING | states.HOLDING
    event: str | None = "abort" if aborted and paused else "fail"
    if task.operation.flow in BESIDE:
        event = None
    task.end(event, ended, values, message, None if step is None else (step, {}))


def _leave_safe(task: Task, step: Step | None, *, aborted: bool) -> dict[str, Any]:
    """Leave the machine as it can be left; columns that say so."""
    kind = _KIND.get(task.node.provision_state)
    if kind == "adopt":
        return {"power_state": None}
    if kind == "delete":
        # The instance is gone for whoever asked, however far its machine came.
        undeploy.forget_instance(task)
        return {}
    if kind == "deploy":
        _leave_ramdisk(task, power_off=task.box.settings.power_off_after_deploy_failure)
    elif kind == "rescue":
        left = _leave_ramdisk(task, power_off=True)
        values = rescuing.without_password(task.node)
        return values if left or not aborted else values | _fault("rescue abort failure", task)
    elif kind is not None:
        _leave_ramdisk(task, power_off=True)
    if kind in ("clean", "service") and step is not None and _had_begun(step):
        # A half-done disk is for a person to look at (and clients expect the fault).
        return _fault(f"{kind} failure", task, step)
    if task.operation.flow == "power":
        return {"target_power_state": None}
    return {}


def _had_begun(step: Step) -> bool:
    return step.interface != "conductor" and step.state != operations.PENDING


def _fault(fault: str, task: Task, step: Step | None = None) -> dict[str, Any]:
    where = "" if step is None else f" in step {step.interface}.{step.step}"
    return {
        "maintenance": True,
        "maintenance_reason": f"{fault.capitalize()}{where}; see last_error.",
        "fault": fault,
    }


def _leave_ramdisk(task: Task, *, power_off: bool) -> bool:
    """Take the machine out of the ramdisk. False when that did not work."""
    if not task.in_ramdisk():
        return True  # Not in it yet: on a rebuild the machine's own system still runs.
    # The boot spec goes last, as in ``steps.ramdisk.leave_ramdisk``: whoever goes on here
    # after a crash tells by it that the machine may still have to be switched off.
    off = _tried(task, _send_off) if power_off else True
    cleaned = _tried(task, _clean_up)
    return off and cleaned


def _send_off(task: Task) -> None:
    task.confirm()
    task.driver.power.send(task.node, "off")
    task.update({"power_state": states.POWER_OFF}, event=("power", "off (clean-up)"))


def _clean_up(task: Task) -> None:
    task.driver.boot.clean_up(task)


def _tried(task: Task, part: Callable[[Task], None]) -> bool:
    """Do one part of the clean-up, or tell what went wrong. False when something did."""
    try:
        part(task)
    except (LeaseLost, SQLAlchemyError):
        raise  # Not the machine's fault: whoever goes on here does it again.
    except DrophammerError as error:
        LOG.warning("node %s: clean-up after the failure: %s", task.node.uuid, error.message)
        _tell(task, error.message)
    except Exception:
        # A driver's mistake must not keep the node from its failed state at every visit.
        LOG.exception("node %s: clean-up after the failure", task.node.uuid)
        _tell(task, "it failed unexpectedly; the conductor's log has the details.")
    else:
        return True
    return False


def _tell(task: Task, text: str) -> None:
    with task.box.store.write() as session:
        task.write(session, {})
        task.tell(session, "error", readable(f"Clean-up after the failure: {text}"))
