"""Rescue interface ``agent``: the machine boots the ramdisk, whose agent lets the operator in.

The ramdisk is that of ``driver_info`` rescue_kernel and rescue_ramdisk, of the options of
these names, or the one for deployment. It stays until ``unrescue``; its agent does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor import rescuing
from conductor.drivers.base import Rescue, StepFunction
from conductor.outcomes import Done, Outcome
from conductor.steps.agent import ask, need_agent
from conductor.wish import own
from drophammer import agents
from drophammer.errors import AgentError, AgentUnreachable, Invalid
from drophammer.model import Node, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

_FILES = ("rescue_kernel", "rescue_ramdisk")
PROPERTIES = {
    "rescue_kernel": "URL of the kernel of this node's rescue system; goes with rescue_ramdisk.",
    "rescue_ramdisk": "URL of the ramdisk of this node's rescue system.",
}


class AgentRescue(Rescue):
    uses_agent = True

    def validate(self, node: Node) -> None:
        given = [name for name in _FILES if node.driver_info.get(name)]
        if len(given) == 1:
            raise Invalid(
                f"Node {node.uuid}: driver_info has {given[0]} without the other of "
                f"{' and '.join(_FILES)}; they are given together or not at all."
            )

    def rescue_steps(self, node: Node) -> list[StepSpec]:
        return [own("boot_ramdisk"), StepSpec("rescue", "finalize_rescue")]

    def unrescue_steps(self, node: Node) -> list[StepSpec]:
        return [own("restore_instance")]

    def functions(self) -> Mapping[str, StepFunction]:
        return {"finalize_rescue": finalize_rescue}


def finalize_rescue(task: Task, step: Step) -> Outcome:
    """Give the rescue system its password; its agent ends with that, and is forgotten."""
    if not _is_told(task, step):
        password = task.node.instance_info.get(rescuing.HASHED)
        if not password:
            raise AgentError(
                f"Node {task.node.uuid} has no rescue password any more: somebody took it out of "
                "its instance_info. Ask for the rescue again."
            )
        task.note(step, told=True)
        ask(task, "rescue.finalize_rescue", {"rescue_password": password, "hashed": True})
    with task.box.store.write() as session:
        agents.forget(session, task.node.id, starting=False)
        task.write(session, {})
    return Done()


def _is_told(task: Task, step: Step) -> bool:
    """Whether the agent has heard it on an earlier visit whose end was not journalled."""
    if "told" not in step.cursor:
        return False
    try:
        known = task.box.agents.commands(need_agent(task))
    except (AgentUnreachable, AgentError):
        # An agent that has heard it answers nobody any more.
        return True
    return any(one.name == "finalize_rescue" and one.result is not None for one in known)
