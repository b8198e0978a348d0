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

from conductor import caches, failures, guard, report
from conductor.drivers.base import StepFunction
from conductor.goodend import good_end
from conductor.outcomes import Again, Hold, Outcome, Wait
from conductor.plans import left_instance
from conductor.report import step_name
from conductor.stepplan import RESERVED, TEMPLATE, USER
from conductor.steps import (
    CONDUCTOR_STEPS,
    ENDS_AT_ONCE,
    RESERVED_STEPS,
    agent_step,
    runs_on_agent,
)
from conductor.task import Ended, Task
from conductor.wish import own
from conductor.workers import RETRY_SECONDS, Workers
from drophammer import operations, outage, states, trace
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
        """Work on a task whose node has just been taken, if there is anything to be done.

        Without a thread for it the node is given back: the work is in the journal, and the
        next sweep, of whichever conductor, goes on with it.
        """
        if task.over:
            return
        try:
            self._workers.submit(self.run, task)
        except Unavailable as error:
            LOG.warning("node %s: %s", task.node.uuid, error.message)
            self.give_back(task)

    def nudge(self, task_of: Callable[[], Task | None]) -> None:
        """Something was heard of a node that waits: visit its step, if nobody else does."""
        try:
            self._workers.submit(self._nudged, task_of)
        except Unavailable:
            # There may never be another nudge, and whoever gave this one need not care.
            self._workers.later(RETRY_SECONDS, self._nudged, task_of)

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
            self.give_back_later(task)

    def give_back_later(self, task: Task) -> None:
        """Release the node when the database may answer again, if it was taken at all."""
        self._workers.later(task.box.settings.retry_seconds, self.give_back, task)

    def guarded(self, task: Task, function: Callable[[Task], None]) -> None:
        """Run something on ``task``; when that is interrupted the node is given back.

        Most likely the database is away then. The journal is intact: the next sweep
        finds the node and its step is visited again.
        """
        try:
            request_id = task.operation.request.get("request_id") or ""
            with guard.under(task.lease), trace.carried(request_id, task.node.uuid):
                function(task)
        except LeaseLost as lost:
            LOG.warning("node %s: %s", task.node.uuid, lost.message)
        except Exception as error:
            outage.log(LOG, error, "node %s: work was interrupted", task.node.uuid)
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
        if task.ending:
            failures.end(task)
            return False
        step = task.step()
        if step is None:
            task.end(good_end(task))
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
            task.note_obstacle(step, error.message)
            self._workers.later(task.box.settings.retry_seconds, self.run, task)
            return False
        except DrophammerError as error:
            failures.fail(task, step, error)
            return False
        except Exception as error:
            key = task.operation.uuid
            LOG.exception("node %s: operation %s: %s failed", task.node.uuid, key, step.step)
            text = report.unexpected(f"Step '{step_name(step)}'", error, f"operation {key}")
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
        ended = [(step, outcome), *_at_once(task, step)]
        if task.advance(ended):
            return True
        task.end(good_end(task, ended))
        return False


def _at_once(task: Task, step: Step) -> list[Ended]:
    """The step behind ``step`` too, when it is done with no more than journalling that."""
    following = task.following(step)
    if following is None or task.operation.abort_requested or following.interface != "conductor":
        return []
    ends = ENDS_AT_ONCE.get(following.step)
    done = None if ends is None else ends(task, following)
    return [] if done is None else [(following, done)]


def _abort(task: Task, step: Step) -> bool:
    """End at ``step`` by the operator's request. True when there is a way back to take first."""
    if task.operation.flow != "service":
        failures.abort(task, step)
        return False
    # The deployed system is to come back, and only then is the node active again.
    with task.box.store.read() as session:
        left = left_instance(session, task.operation.id)
    if task.node.provision_state in states.HOLDING:
        task.fire("unhold")
    if task.node.provision_state in states.WAITING:
        task.fire("resume")
    text = report.cause(task, step, report.aborted(task, step))
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


def _may_end_at(step: Step) -> bool:
    """Whether work may be broken off here: between steps, or in one that stands it."""
    return step.state == operations.PENDING or step.abortable or step.interface == "conductor"
