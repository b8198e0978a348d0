"""Steps that operators may name in any list and that no driver has: power, hold, wait.

A machine that is in the ramdisk stays there: switched on again, it boots it again.
On child nodes a power step is an operation of its own on each child, with the
child's own lease and journal; these are what is looked at on later visits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from conductor import report
from conductor.outcomes import Again, Done, Hold, Outcome, Wait
from conductor.stepplan import ON_CHILDREN
from conductor.steps.agentsteps import meet_agent_again
from conductor.steps.power import POLL_SECONDS, reach, switch
from conductor.steps.ramdisk import boot_ramdisk
from drophammer import conductors, operations, states
from drophammer.errors import HardwareError, NodeLocked
from drophammer.model import Node, Operation, Step

if TYPE_CHECKING:
    from conductor.task import Task

_TARGETS = {"power_on": "power on", "power_off": "power off", "reboot": "rebooting"}


def power_on(task: Task, step: Step) -> Outcome:
    """Machine on; back into the ramdisk if that is where it was."""
    if ON_CHILDREN in step.args:
        return _on_children(task, step)
    booting = "stage" in step.cursor
    if booting or (task.in_ramdisk() and task.driver.power.state(task.node) == states.POWER_OFF):
        return _into_ramdisk(task, step)
    return switch(task, step, "on")


def power_off(task: Task, step: Step) -> Outcome:
    """Machine off."""
    if ON_CHILDREN in step.args:
        return _on_children(task, step)
    return switch(task, step, "off")


def reboot(task: Task, step: Step) -> Outcome:
    """Machine off and on again."""
    if ON_CHILDREN in step.args:
        return _on_children(task, step)
    if task.in_ramdisk():
        return _into_ramdisk(task, step)
    if "was_off" not in step.cursor:
        if not reach(task, step, "off"):
            return Again(POLL_SECONDS)
        task.note(step, was_off=True)
    return switch(task, step, "on")


def hold(task: Task, step: Step) -> Outcome:
    """Stop here until the operator says ``unhold``."""
    held = "held" in step.cursor and task.node.provision_state not in states.HOLDING
    return Done() if held else Hold()


def wait(task: Task, step: Step) -> Outcome:
    """Let ``seconds`` pass or, without them, stay until the ramdisk is next heard of."""
    if "seconds" not in step.args:
        agent = task.agent()
        beats = agent.beats if agent is not None else 0
        if "beats" not in step.cursor:
            task.note(step, beats=beats)
        return Done() if beats > step.cursor["beats"] else Wait()
    if "until" not in step.cursor:
        _begin_wait(task, step)
    left = step.cursor["until"] - task.now().timestamp()
    return Done() if left <= 0 else Again(left)


def _begin_wait(task: Task, step: Step) -> None:
    """Journal until when; say so where that is sooner than was asked for."""
    wanted, limit = float(step.args["seconds"]), task.box.settings.max_step_wait
    until = task.now().timestamp() + min(wanted, limit)
    with task.box.store.write() as session:
        task.write(session, {})
        task.journal_note(session, step, until=until)
        if wanted > limit:
            task.tell(
                session,
                "step",
                f"{step.interface}.wait: {limit:g} s instead of {wanted:g} s "
                "([conductor] max_conductor_wait_step_seconds)",
                {"step": step.step, "seconds": limit, "asked": wanted},
            )


def _into_ramdisk(task: Task, step: Step) -> Outcome:
    outcome = boot_ramdisk(task, step)
    return meet_agent_again(task, step) if isinstance(outcome, Done) else outcome


def _on_children(task: Task, step: Step) -> Outcome:
    """Start what has not been started on each child, and see how the rest goes."""
    with task.box.store.read() as session:
        children = session.scalars(
            select(Node).where(Node.uuid.in_(step.args[ON_CHILDREN])).order_by(Node.id)
        ).all()
        begun = session.scalars(
            select(Operation)
            .where(
                Operation.node_id.in_([child.id for child in children]),
                Operation.verb == _TARGETS[step.step],
                Operation.created_at >= step.started_at,
            )
            .order_by(Operation.id)
        ).all()
    known = {operation.node_id: operation for operation in begun}
    for child in children:
        if child.id not in known:
            _begin_on(task, child, _TARGETS[step.step])
    if len(known) < len(children) or any(op.finished_at is None for op in known.values()):
        return Again(POLL_SECONDS)
    _check_children(step, children, known)
    return Done({"children": [child.uuid for child in children]})


def _begin_on(task: Task, child: Node, target: str) -> None:
    """Start the power operation of a child, unless somebody holds it just now."""
    # Most who hold a node do so for moments; the parent's deadline ends what takes longer.
    with contextlib.suppress(NodeLocked):
        topic = conductors.topic(child.conductor_group)
        task.box.bus.call(topic, "power", node_id=child.id, target=target, timeout=None)


def _check_children(step: Step, children: Sequence[Node], ended: dict[int, Operation]) -> None:
    """Raise HardwareError naming every child on which it did not work."""
    failed = [
        f"{child.uuid}: {report.essence(operation.error or 'it did not say why')}"
        for child in children
        if (operation := ended[child.id]).state != operations.DONE
    ]
    if failed:
        raise HardwareError(
            f"Step {step.interface}.{step.step} failed on {len(failed)} of {len(children)} child "
            f"nodes: {'; '.join(failed)}"
        )
