"""From verb to ordered steps, and the ONE loop that runs them.

A flow is a list of steps, planned when the operation starts and kept in the
journal. What a step may do is return ``Done``, ``Again`` or ``Wait``, or raise a
domain error; the loop turns that into journal entries and events of the state
machine. A step may be visited any number of times; what it did before is in its
cursor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from conductor import failures
from conductor.drivers.base import StepFunction
from conductor.drivers.registry import Driver
from conductor.outcomes import Again, Done, Wait
from conductor.steps import CONDUCTOR_STEPS, agent_step
from conductor.task import Task
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
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

LOG = logging.getLogger(__name__)


def _own(step: str) -> StepSpec:
    return StepSpec("conductor", step, source="conductor")


def plan_verify(node: Node, driver: Driver) -> list[StepSpec]:
    """Ask the power controller."""
    driver.power.validate(node)
    return [_own("verify_power")]


def plan_inspect(node: Node, driver: Driver) -> list[StepSpec]:
    """Boot the ramdisk, take its facts, power off."""
    driver.power.validate(node)
    driver.inspect.validate(node)
    if driver.inspect.uses_agent:
        _validate_boot(node, driver)
    return driver.inspect.steps(node)


def plan_clean(node: Node, driver: Driver) -> list[StepSpec]:
    """Boot the ramdisk, run what it and the driver offer, power off."""
    steps = _clean_steps(node, driver)
    if steps and driver.deploy.uses_agent:
        _validate_boot(node, driver)
    return steps


def _clean_steps(node: Node, driver: Driver) -> list[StepSpec]:
    driver.power.validate(node)
    automated = driver.box.settings.automated_clean
    if node.automated_clean is not None:
        automated = node.automated_clean
    if not automated:
        return []
    steps = driver.deploy.clean_steps(node)
    if not driver.deploy.uses_agent:
        return steps
    return [_own("boot_ramdisk"), _own("plan_agent_steps"), *steps, _own("leave_ramdisk")]


def plan_deploy(node: Node, driver: Driver) -> list[StepSpec]:
    """Whatever the node's deploy interface says."""
    driver.power.validate(node)
    driver.deploy.validate(node)
    if driver.deploy.uses_agent:
        _validate_boot(node, driver)
    return driver.deploy.deploy_steps(node)


def plan_delete(node: Node, driver: Driver) -> list[StepSpec]:
    """Give the system up, then clean. What cleaning needs is checked when it begins."""
    return [_own("tear_down_instance"), _own("begin_cleaning"), *_clean_steps(node, driver)]


def plan_adopt(node: Node, driver: Driver) -> list[StepSpec]:
    """Take over a running system; the machine is not touched."""
    return [_own("adopt_instance")]


def plan_power(node: Node, driver: Driver) -> list[StepSpec]:
    """Reach a power state."""
    driver.power.validate(node)
    return [_own("change_power")]


def _validate_boot(node: Node, driver: Driver) -> None:
    driver.boot.validate(node)
    if node.disable_power_off:
        raise Unsupported(
            f"Node {node.uuid} has disable_power_off set; operations that boot a ramdisk cannot "
            "do without power off yet."
        )


@dataclass(frozen=True)
class Flow:
    """How one kind of operation is planned, and the event at its good end (None: no event)."""

    name: str
    plan: Callable[[Node, Driver], list[StepSpec]]
    done: str | None = "done"


FLOWS: dict[str, Flow] = {
    flow.name: flow
    for flow in (
        Flow("verify", plan_verify),
        Flow("inspect", plan_inspect),
        Flow("clean", plan_clean),
        Flow("deploy", plan_deploy),
        Flow("delete", plan_delete),
        Flow("adopt", plan_adopt),
        Flow("power", plan_power, done=None),
    )
}

FLOW_OF_VERB: dict[str, str] = {
    "manage": "verify",
    "inspect": "inspect",
    "provide": "clean",
    "active": "deploy",
    "deploy": "deploy",
    "rebuild": "deploy",
    "deleted": "delete",
    "undeploy": "delete",
    "adopt": "adopt",
}


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

    def _give_back(self, task: Task) -> None:
        # As long as this process lives it renews its leases: one not given back would stay.
        try:
            task.release()
        except LeaseLost:
            pass
        except SQLAlchemyError:
            self._workers.later(5.0, self._give_back, task)

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
            self._give_back(task)

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
            _finish(task)
            return False
        if task.operation.abort_requested and _may_end_at(step):
            name = step_name(step)
            when = "before" if step.state == operations.PENDING else "during"
            text = f"Aborted by the operator's request {when} {name}."
            failures.fail(task, step, text, aborted=True)
            return False
        try:
            task.start_step(step)
            outcome = function_of(task, step)(task, step)
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
        if isinstance(outcome, Wait):
            return not task.wait()
        if isinstance(outcome, Again):
            self._workers.later(outcome.seconds, self.run, task)
            return False
        if task.node.provision_state in states.WAITING:
            task.fire("resume")
        task.finish_step(step, outcome.result if isinstance(outcome, Done) else {})
        return True


def function_of(task: Task, step: Step) -> StepFunction:
    """The code behind a step. Raises Unsupported when this conductor has none."""
    if step.source == "agent" and step.interface != "conductor":
        return agent_step
    table = (
        CONDUCTOR_STEPS
        if step.interface == "conductor"
        else task.driver.interface(step.interface).functions()
    )
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


def _finish(task: Task) -> None:
    event = FLOWS[task.operation.flow].done
    if event is not None and task.node.provision_state == states.CLEANING and task.node.retired:
        event = "manage"
    task.end(event, operations.DONE, {}, None)
