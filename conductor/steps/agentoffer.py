"""The steps that a ramdisk offers, asked from its agent and read with suspicion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conductor.payload import node_for_agent, ports_for_agent
from conductor.steps.agent import ask, kind_of
from drophammer import agents
from drophammer.errors import AgentError
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

MAX_STEPS = 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True)
class Offer:
    """The agent's steps, without order, and what its hardware managers call their versions."""

    steps: list[StepSpec]
    version: dict[str, Any]

    def by_name(self) -> dict[tuple[str, str], StepSpec]:
        return {(spec.interface, spec.step): spec for spec in self.steps}


def ask_for_steps(task: Task) -> Offer:
    """What the agent offers for what is being done. Raises AgentError for nonsense.

    The version is kept with the agent: each execution must name it.
    """
    kind = kind_of(task)
    params = {"node": node_for_agent(task.node), "ports": ports_for_agent(task.ports())}
    told = ask(task, f"{kind}.get_{kind}_steps", params)
    version = told.get("hardware_manager_version") or {}
    if not isinstance(version, dict):
        raise AgentError(f"The agent's hardware_manager_version is none: {str(version)[:200]}")
    offer = Offer(_specs(told.get(f"{kind}_steps") or {}), version)
    with task.box.store.write() as session:
        agents.set_step_version(session, task.node.id, version)
        task.write(session, {})
    return offer


def _specs(offered: object) -> list[StepSpec]:
    managers = list(offered.values()) if isinstance(offered, dict) else [None]
    items = [item for steps in managers for item in (steps if isinstance(steps, list) else [None])]
    if len(items) > MAX_STEPS:
        raise AgentError(f"The agent offers {len(items)} steps, more than {MAX_STEPS}.")
    return [_spec(item) for item in items]


def _spec(item: object) -> StepSpec:
    offer: dict[str, Any] = item if isinstance(item, dict) else {}
    argsinfo = offer.get("argsinfo")
    match offer:
        case {"interface": str(interface), "step": str(step), "priority": int(priority)} if (
            _NAME.fullmatch(interface) and _NAME.fullmatch(step) and abs(priority) < 10**6
        ):
            return StepSpec(
                interface=interface,
                step=step,
                priority=priority,
                source="agent",
                abortable=offer.get("abortable") is True,
                reboot_requested=offer.get("reboot_requested") is True,
                argsinfo=argsinfo if isinstance(argsinfo, dict) else {},
            )
    raise AgentError(
        f"The agent offers a step without a proper interface, name and priority: {str(item)[:200]}"
    )
