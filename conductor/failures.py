"""How an operation ends badly: say why, leave the machine safe, give the node back.

That it ends, and why, is journalled first: whoever takes the operation up after a crash
goes on with the end and never with the step (``end``). Clean-up is best effort and sends
commands without waiting for them: a broken power controller must not keep a node from
reaching its failed state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from conductor import report, rescuing, undeploy
from conductor.plans import BESIDE
from conductor.task import Ending, Task
from drophammer import masking, operations, states
from drophammer.errors import DrophammerError, LeaseLost
from drophammer.model import Step
from drophammer.text import readable

LOG = logging.getLogger(__name__)

# In a step's cursor: not all of the clean-up behind it worked.
_WENT_WRONG = "clean_up_failed"

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


def fail(task: Task, step: Step | None, error: str | DrophammerError) -> None:
    """End the task's operation as failed at ``step``."""
    text = report.cause(task, step, error)
    if task.operation.error is not None:
        text = f"{text} The way back had been taken because: {task.operation.error}"
    _begin_end(task, operations.FAILING, step, text)


def abort(task: Task, step: Step) -> None:
    """End the task's operation as aborted by the operator."""
    _begin_end(
        task, operations.ABORTING, step, report.cause(task, step, report.aborted(task, step))
    )


def time_out(task: Task) -> None:
    """Fail what is past its deadline, saying how long and in what.

    An operation that was ending already ends at once: its clean-up had its time.
    """
    step = task.step()
    if task.ending:
        _tell(task, step, "it did not end in time; the machine is left as it is.")
        end(task, hands_off=True)
    else:
        fail(task, step, report.timed_out(task, step))


def give_up(task: Task) -> None:
    """Fail what is past its deadline and whose machine no conductor that runs can reach."""
    step, node = task.step(), task.node
    if task.ending:
        end(task, hands_off=True)
        return
    where = f" in the conductor group '{node.conductor_group}'" if node.conductor_group else ""
    text = (
        f"{report.timed_out(task, step)} No running conductor has the driver "
        f"'{node.driver}'{where}: the machine has not been touched and may still be on."
    )
    _begin_end(task, operations.FAILING, step, report.cause(task, step, text), hands_off=True)


def end(task: Task, *, hands_off: bool = False) -> None:
    """Go on with an operation that is ending: leave the machine safe, give the node back.

    Whatever of this was done before is done again, or seen to be done. ``hands_off``:
    without the machine.
    """
    operation, state = task.operation, task.node.provision_state
    aborted = operation.state == operations.ABORTING
    step = task.step()
    values = _leave_safe(task, step, aborted=aborted, hands_off=hands_off)
    event: str | None = "abort" if aborted and state in states.WAITING | states.HOLDING else "fail"
    if operation.flow in BESIDE:
        event = None
    arrived = report.after(task.node, event)
    clean = not _went_wrong(step)
    told = report.outcome(task, arrived, values, clean=clean, aborted=aborted)
    ended = operations.ABORTED if aborted else operations.FAILED
    error = readable(f"{operation.error} {told}")
    task.end(Ending([event] if event else [], ended, values, error))


def _begin_end(
    task: Task, state: str, step: Step | None, error: str, *, hands_off: bool = False
) -> None:
    error = readable(error)
    LOG.warning("node %s: %s is %s: %s", task.node.uuid, task.operation.verb, state, error)
    task.begin_end(state, step, error)
    end(task, hands_off=hands_off)


def _leave_safe(task: Task, step: Step | None, *, aborted: bool, hands_off: bool) -> dict[str, Any]:
    """Leave the machine as it can be left; columns that say so."""
    kind = _KIND.get(task.node.provision_state)
    if kind == "adopt":
        return {"power_state": None}
    if kind == "delete":
        # The instance is gone for whoever asked, however far its machine came.
        undeploy.forget_instance(task)
        return {}
    if kind is not None and not hands_off:
        off = kind != "deploy" or task.box.settings.power_off_after_deploy_failure
        _leave_ramdisk(task, step, power_off=off)
    if kind == "rescue":
        values = rescuing.without_password(task.node)
        left = not (aborted and _went_wrong(step))
        return values if left else values | _fault("rescue abort failure")
    if kind in ("clean", "service") and not aborted and step is not None and _had_begun(step):
        # A half-done disk is for a person to look at (and clients expect the fault).
        return _fault(f"{kind} failure", step)
    if task.operation.flow == "power":
        return {"target_power_state": None}
    return {}


def _had_begun(step: Step) -> bool:
    return step.interface != "conductor" and step.started_at is not None


def _fault(fault: str, step: Step | None = None) -> dict[str, Any]:
    where = "" if step is None else f" in step {step.interface}.{step.step}"
    return {
        "maintenance": True,
        "maintenance_reason": f"{fault.capitalize()}{where}; see last_error.",
        "fault": fault,
    }


def _leave_ramdisk(task: Task, step: Step | None, *, power_off: bool) -> None:
    """Take the machine out of the ramdisk."""
    if not task.in_ramdisk():
        return  # Not in it yet: on a rebuild the machine's own system still runs.
    # The boot spec goes last, as in ``steps.ramdisk.leave_ramdisk``: whoever goes on here
    # after a crash tells by it that the machine may still have to be switched off.
    if power_off:
        _try(task, step, _send_off)
    _try(task, step, _clean_up)


def _send_off(task: Task) -> None:
    task.confirm()
    task.driver.power.send(task.node, "off")
    task.update({"power_state": states.POWER_OFF}, event=("power", "off (clean-up)"))


def _clean_up(task: Task) -> None:
    task.driver.boot.clean_up(task)


def _try(task: Task, step: Step | None, part: Callable[[Task], None]) -> None:
    """Do one part of the clean-up, or tell what went wrong."""
    try:
        part(task)
    except (LeaseLost, SQLAlchemyError):
        raise  # Not the machine's fault: whoever goes on here does it again.
    except DrophammerError as error:
        LOG.warning("node %s: clean-up after the failure: %s", task.node.uuid, error.message)
        _tell(task, step, masking.scrub(error.message, task.node.driver_info))
    except Exception:
        # A driver's mistake must not keep the node from its failed state at every visit.
        LOG.exception("node %s: clean-up after the failure", task.node.uuid)
        _tell(task, step, "it failed unexpectedly; the conductor's log has the details.")


def _tell(task: Task, step: Step | None, text: str) -> None:
    """Tell what of the clean-up went wrong; also whoever goes on with it finds that."""
    with task.box.store.write() as session:
        task.write(session, {})
        task.tell(session, "error", f"Clean-up after the failure: {text}")
        if step is not None:
            task.journal_note(session, step, **{_WENT_WRONG: True})


def _went_wrong(step: Step | None) -> bool:
    return step is not None and _WENT_WRONG in step.cursor
