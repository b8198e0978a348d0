"""Steps that the ramdisk's agent runs: learn what it offers, start one, wait, read the result."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from conductor import agentclient
from conductor.outcomes import Done, Outcome, Wait
from conductor.payload import node_for_agent, ports_for_agent
from drophammer import agents
from drophammer.errors import AgentBusy, AgentError, AgentUnreachable
from drophammer.model import Agent, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

MAX_STEPS = 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
# In which order steps of equal priority run.
_INTERFACE_ORDER = ("vendor", "power", "management", "firmware", "deploy", "bios", "raid")


def plan_agent_steps(task: Task, step: Step) -> Outcome:
    """Ask the agent for its clean steps and put those with a priority behind this step."""
    offered = _offered(task)
    specs = _effective(offered.get("clean_steps") or {}, _priorities(task))
    if not specs:
        raise AgentError(
            "Cleaning has no step to run: the agent offers none with a priority above 0 after "
            "the [deploy] erase_devices*_priority options. Nothing was erased."
        )
    task.add_steps(step, _with_reboots(specs))
    return Done({"steps": [spec.step for spec in specs]})


def meet_agent_again(task: Task, step: Step) -> Outcome:
    """After a reboot between two steps: learn the versions that the new ramdisk reports."""
    _offered(task)
    return Done()


def ask(task: Task, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a command that answers at once. Raises AgentError when it failed."""
    answer = task.box.agents.run(need_agent(task), name, params, wait=True)
    if answer.status != agentclient.SUCCEEDED or answer.result is None:
        raise AgentError(f"The agent failed at {name}: {answer.error or answer.status}")
    return answer.result


def _offered(task: Task) -> dict[str, Any]:
    """What the agent offers for cleaning; the version that goes with it is kept."""
    params = {"node": node_for_agent(task.node), "ports": ports_for_agent(task.ports())}
    offered = ask(task, "clean.get_clean_steps", params)
    with task.box.store.write() as session:
        agents.set_step_version(
            session, task.node.id, offered.get("hardware_manager_version") or {}
        )
        task.write(session, {})
    return offered


def _with_reboots(specs: list[StepSpec]) -> list[StepSpec]:
    """A fresh ramdisk behind each step that asks for a reboot, unless it is the last one."""
    steps: list[StepSpec] = []
    for number, spec in enumerate(specs, 1):
        steps.append(spec)
        if spec.reboot_requested and number < len(specs):
            steps += [
                StepSpec("conductor", name, source="agent")
                for name in ("boot_ramdisk", "meet_agent_again")
            ]
    return steps


def agent_step(task: Task, step: Step) -> Outcome:
    """Run one of the agent's own steps."""
    kind = "deploy" if task.operation.flow == "deploy" else "clean"
    agent = need_agent(task)
    params = {
        "step": {
            "interface": step.interface,
            "step": step.step,
            "priority": step.priority,
            "args": step.args,
            "abortable": step.abortable,
            "reboot_requested": step.reboot_requested,
        },
        "node": node_for_agent(task.node),
        "ports": ports_for_agent(task.ports()),
        f"{kind}_version": agent.step_version or {},
    }
    return run_command(task, step, f"{kind}.execute_{kind}_step", params)


def run_command(
    task: Task, step: Step, name: str, params: dict[str, Any], *, stage: str = "command"
) -> Outcome:
    """Start an asynchronous agent command, or look at the one started on an earlier visit.

    The command's id is journalled, so that it is re-attached to and never
    started twice. ``stage`` keeps several commands of one step apart.
    """
    agent = need_agent(task)
    started = step.cursor.get(stage)
    if started is None:
        present = task.box.agents.commands(agent)
        before = step.cursor.get(f"before_{stage}")
        # Sent on an earlier visit whose end was not journalled?
        ours = [] if before is None else [item for item in present if item.id not in before]
        ours = [item for item in ours if item.name == name.partition(".")[2]]
        if ours:
            result = ours[-1]
        else:
            task.note(step, **{f"before_{stage}": [item.id for item in present]})
            try:
                result = task.box.agents.run(agent, name, params, wait=False)
            except AgentBusy:
                return Wait()
        task.note(step, **{stage: result.id})
    else:
        try:
            results = [item for item in task.box.agents.commands(agent) if item.id == started]
        except AgentUnreachable:
            # It may be too busy to answer; its next heartbeat, or the deadline, decides.
            return Wait()
        if not results:
            raise AgentError(
                f"The agent at {agent.url} no longer knows the command {name}: its machine was "
                "restarted while the command ran."
            )
        result = results[0]
    return _judge(task, step, name, result)


def need_agent(task: Task) -> Agent:
    """The node's agent. Raises AgentError when none has called back."""
    agent = task.agent()
    if agent is None or not agent.url:
        raise AgentError(f"No agent is running on node {task.node.uuid}.")
    return agent


def _judge(task: Task, step: Step, name: str, result: agentclient.Result) -> Outcome:
    if result.status == agentclient.RUNNING:
        return Wait()
    if result.status == agentclient.SUCCEEDED:
        return Done({"command": name})
    if result.status in agentclient.VERSION_MISMATCH:
        raise AgentError(
            f"The ramdisk changed its hardware managers during {step.interface}.{step.step}; "
            "start again."
        )
    raise AgentError(
        f"Step {step.interface}.{step.step} failed on the machine: {result.error or result.status}"
    )


def _priorities(task: Task) -> dict[str, int]:
    settings = task.box.settings
    given = {
        "erase_devices": settings.erase_devices_priority,
        "erase_devices_metadata": settings.erase_devices_metadata_priority,
    }
    return {name: value for name, value in given.items() if value is not None}


def _effective(offered: object, overrides: dict[str, int]) -> list[StepSpec]:
    """The offered steps that are to run, in order. Raises AgentError for nonsense."""
    managers = list(offered.values()) if isinstance(offered, dict) else [None]
    items = [item for steps in managers for item in (steps if isinstance(steps, list) else [None])]
    if len(items) > MAX_STEPS:
        raise AgentError(f"The agent offers {len(items)} steps, more than {MAX_STEPS}.")
    specs = [spec for item in items if (spec := _spec(item, overrides)).priority > 0]
    return sorted(specs, key=_order)


def _spec(item: object, overrides: dict[str, int]) -> StepSpec:
    offer: dict[str, Any] = item if isinstance(item, dict) else {}
    match offer:
        case {"interface": str(interface), "step": str(step), "priority": int(priority)} if (
            _NAME.fullmatch(interface) and _NAME.fullmatch(step) and abs(priority) < 10**6
        ):
            return StepSpec(
                interface=interface,
                step=step,
                priority=overrides.get(step, priority),
                source="agent",
                abortable=offer.get("abortable") is True,
                reboot_requested=offer.get("reboot_requested") is True,
            )
    raise AgentError(
        f"The agent offers a step without a proper interface, name and priority: {str(item)[:200]}"
    )


def _order(spec: StepSpec) -> tuple[int, int]:
    known = spec.interface in _INTERFACE_ORDER
    rank = _INTERFACE_ORDER.index(spec.interface) if known else len(_INTERFACE_ORDER)
    return -spec.priority, rank
