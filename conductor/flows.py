"""The ONE loop that runs the steps of all operations.

Which steps there are is planned when the operation begins (``plans.py``) and kept
in the journal. What a step may do is return ``Done``, ``Again``, ``Wait`` or
``Hold``, or raise a domain error; the loop turns that into journal entries and
events of the state machine. A step may be visited any number of times; what it did
before is in its cursor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from conductor import caches, failures, rescuing
from conductor.drivers.base import StepFunction
from conductor.outcomes import Again, Done, Hold, Outcome, Wait
from conductor.plans import FLOWS, left_instance
from conductor.stepplan import RESERVED, TEMPLATE, USER
from conductor.steps import CONDUCTOR_STEPS, RESERVED_STEPS, agent_step, runs_on_agent
from conductor.task import Task
from conductor.wish import own
from conductor.workers import Workers
from drophammer import operations, states
from drophammer.errors import (
    DrophammerError,
    LeaseLost,
    NodeLocked,
    NotFound,
    Unavailable,
    Unsupported,
)
from drophammer.model import Step

LOG = logging.getLogger(__name__)


class Runner:
    """Runs operations on worker threads."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def start(self, task: Task) -> None:
        """Work on a task whose node has just been taken."""
        self._workers.submit(self.run, task)

    def nudge(self, task_of: Callable[[], Task | None]) -> None:
        """Something was heard of a node that waits: visit its step, if nobody else does."""
        self._workers.submit(self._nudged, task_of)

    def run(self, task: Task) -> None:
        """Visit steps until the operation ends, waits, or wants to be visited later."""
        self.guarded(task, self._visit_all)

    def _visit_all(self, task: Task) -> None:
        while self._visit(task):
            pass

    def give_back(self, task: Task) -> None:
        """Release the node, however often that takes."""
        # As long as this process lives it renews its leases: one not given back would stay.
        try:
            task.release()
        except LeaseLost:
            pass
        except SQLAlchemyError:
            self._workers.later(5.0, self.give_back, task)

    def guarded(self, task: Task, function: Callable[[Task], None]) -> None:
        """Run something on ``task``; when that is interrupted the node is given back.

        Most likely the database is away then. The journal is intact: the next sweep
        finds the node and its step is visited again.
        """
        try:
            function(task)
        except LeaseLost:
            LOG.warning("node %s: lost the lease; another conductor goes on", task.node.uuid)
        except Exception:
            LOG.exception("node %s: work was interrupted", task.node.uuid)
            self.give_back(task)

    def _nudged(self, task_of: Callable[[], Task | None]) -> None:
        try:
            task = task_of()
        except NodeLocked:
            return  # The holder compares the heartbeat counter before it waits.
        except NotFound:
            return  # Deleted since.
        if task is not None:
            self.run(task)

    def _visit(self, task: Task) -> bool:
        """One visit of the step that is due. True when the next visit is due at once."""
        step = task.step()
        if step is None:
            _finish(task, None, Done())
            return False
        if task.operation.abort_requested and _may_end_at(step):
            return _abort(task, step)
        try:
            task.start_step(step)
            return self._goes_on(task, step, function_of(task, step)(task, step))
        except (LeaseLost, SQLAlchemyError):
            raise  # Nothing is known to be wrong with the machine: see ``run``.
        except Unavailable as error:
            # "Try again later", says for instance a netboot that is being restarted. The
            # node's deadline ends this.
            LOG.warning("node %s: step %s: %s", task.node.uuid, step.step, error.message)
            self._workers.later(task.box.settings.retry_seconds, self.run, task)
            return False
        except DrophammerError as error:
            failures.fail(task, step, error.message)
            return False
        except Exception:
            LOG.exception("node %s: step %s failed unexpectedly", task.node.uuid, step.step)
            name = step_name(step)
            text = f"Step '{name}' failed unexpectedly; the conductor's log has the details."
            failures.fail(task, step, text)
            return False

    def _goes_on(self, task: Task, step: Step, outcome: Outcome) -> bool:
        """Do what the step's answer asks for. True when the next visit is due at once."""
        if isinstance(outcome, Wait):
            return not task.wait()
        if isinstance(outcome, Hold):
            task.hold(step)
            return False
        if isinstance(outcome, Again):
            self._workers.later(outcome.seconds, self.run, task)
            return False
        if step.interface in caches.KINDS:
            caches.refresh(task, (step.interface,))
        if task.advance(step, outcome):
            return True
        _finish(task, step, outcome)
        return False


def _abort(task: Task, step: Step) -> bool:
    """End at ``step`` by the operator's request. True when there is a way back to take first."""
    when = "before" if step.state == operations.PENDING else "during"
    text = f"Aborted by the operator's request {when} {step_name(step)}."
    if task.operation.flow != "service":
        failures.fail(task, step, text, aborted=True)
        return False
    # The deployed system is to come back, and only then is the node active again.
    with task.box.store.read() as session:
        left = left_instance(session, task.operation.id)
    if task.node.provision_state in states.HOLDING:
        task.fire("unhold")
    if task.node.provision_state in states.WAITING:
        task.fire("resume")
    task.give_way(step, text, [own("restore_instance")] if left else [])
    return True


def function_of(task: Task, step: Step) -> StepFunction:
    """The code behind a step. Raises Unsupported when this conductor has none."""
    if step.interface == "conductor":
        table = CONDUCTOR_STEPS
    elif step.source in (USER, TEMPLATE) and step.step in RESERVED:
        table = RESERVED_STEPS
    elif runs_on_agent(task, step):
        return agent_step
    else:
        table = dict(task.driver.interface(step.interface).functions())
    if step.step not in table:
        raise Unsupported(f"There is no step {step.interface}.{step.step} on this conductor.")
    return table[step.step]


def step_name(step: Step) -> str:
    """A step as an operator may know it; the conductor's own are not part of any wire."""
    if step.interface == "conductor":
        return step.step.replace("_", " ")
    return f"{step.interface}.{step.step}"


def _may_end_at(step: Step) -> bool:
    """Whether work may be broken off here: between steps, or in one that stands it."""
    return step.state == operations.PENDING or step.abortable or step.interface == "conductor"


def _finish(task: Task, step: Step | None, done: Done) -> None:
    between = "resume" if task.node.provision_state in states.WAITING else done.event
    if between is not None:
        task.fire(between)
    flow = FLOWS[task.operation.flow]
    event = flow.done
    if task.node.provision_state == states.CLEANING and task.node.retired:
        event = "manage"
    values = rescuing.without_password(task.node) if flow.history == "rescue" else {}
    error = task.operation.error
    last = None if step is None else (step, done.result)
    task.end(event, operations.ABORTED if error else operations.DONE, values, error, last)
