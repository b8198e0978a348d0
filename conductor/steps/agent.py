"""Steps that the ramdisk's agent runs: learn what it offers, start one, wait, read the result."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conductor import agentclient, stepplan
from conductor.outcomes import Done, Outcome, Wait
from conductor.payload import node_for_agent, ports_for_agent
from conductor.plans import FLOWS
from conductor.stepplan import RESERVED, TEMPLATE, USER
from conductor.wish import own
from drophammer import agents
from drophammer.errors import AgentBusy, AgentError, AgentUnreachable, Invalid
from drophammer.model import Agent, Step
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.task import Task

MAX_STEPS = 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


def plan_agent_steps(task: Task, step: Step) -> Outcome:
    """Ask the agent for its clean steps; plan them and the driver's that have a priority."""
    specs = stepplan.automatic(_specs(_offered(task), _priorities(task)))
    if not specs:
        raise AgentError(
            "Cleaning has no step to run: the agent offers none with a priority above 0 after "
            "the [deploy] erase_devices*_priority options. Nothing was erased."
        )
    specs += stepplan.offered(task.driver, task.node, "clean")
    planned = _with_reboots(stepplan.automatic(specs))
    task.replan(step, [*planned, own("leave_ramdisk")])
    return Done({"steps": [spec.step for spec in specs]})


def check_agent_steps(task: Task, step: Step) -> Outcome:
    """Does the ramdisk have the steps that the operator named and no interface offers?"""
    offers = {(spec.interface, spec.step): spec for spec in _specs(_offered(task), {})}
    specs = [_as_offered(task, later, offers) for later in task.steps_behind(step)]
    task.replan(step, _with_reboots(specs))
    return Done()


def runs_on_agent(task: Task, step: Step) -> bool:
    """Whether a step is the ramdisk's: told by it, or named by somebody and nobody else's."""
    if step.source not in (USER, TEMPLATE) or step.interface == "conductor":
        return step.source == "agent" and step.interface != "conductor"
    purpose = FLOWS[task.operation.flow].purpose
    if step.step in RESERVED or purpose is None or not task.driver.deploy.uses_agent:
        return False
    offers = task.driver.interface(step.interface).steps(task.node, purpose)
    return all(offer.step != step.step for offer in offers)


def _as_offered(task: Task, step: Step, offers: dict[tuple[str, str], StepSpec]) -> StepSpec:
    """A planned step, with what the ramdisk says of it. Raises AgentError when it has none such."""
    spec = StepSpec(
        step.interface,
        step.step,
        step.priority,
        step.source,
        step.args,
        abortable=step.abortable,
        reboot_requested=step.reboot_requested,
    )
    if not runs_on_agent(task, step):
        return spec
    name = f"{step.interface}.{step.step}"
    offer = offers.get((step.interface, step.step))
    if offer is None:
        have = ", ".join(f"{interface}.{step}" for interface, step in sorted(offers)) or "none"
        raise AgentError(f"The ramdisk has no step {name}; it offers: {have}.")
    try:
        stepplan.check_arguments(name, step.args, offer.argsinfo)
    except Invalid as error:
        raise AgentError(f"The ramdisk's step does not fit. {error.message}") from error
    return replace(spec, abortable=offer.abortable, reboot_requested=offer.reboot_requested)


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


def _kind(task: Task) -> str:
    """The agent's word for what is being done: clean, deploy or service."""
    return FLOWS[task.operation.flow].purpose or "clean"


def _offered(task: Task) -> object:
    """The steps that the agent offers for this; the version that goes with them is kept."""
    kind = _kind(task)
    params = {"node": node_for_agent(task.node), "ports": ports_for_agent(task.ports())}
    told = ask(task, f"{kind}.get_{kind}_steps", params)
    with task.box.store.write() as session:
        agents.set_step_version(session, task.node.id, told.get("hardware_manager_version") or {})
        task.write(session, {})
    return told.get(f"{kind}_steps") or {}


def _with_reboots(specs: list[StepSpec]) -> list[StepSpec]:
    """A fresh ramdisk behind each step that asks for a reboot, unless none follows it."""
    steps: list[StepSpec] = []
    for number, spec in enumerate(specs, 1):
        steps.append(spec)
        follows = any(later.interface != "conductor" for later in specs[number:])
        if spec.reboot_requested and follows:
            steps += [
                StepSpec("conductor", name, source="agent")
                for name in ("boot_ramdisk", "meet_agent_again")
            ]
    return steps


def agent_step(task: Task, step: Step) -> Outcome:
    """Run one of the agent's own steps."""
    kind = _kind(task)
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


def _specs(offered: object, overrides: dict[str, int]) -> list[StepSpec]:
    """The offered steps, without order. Raises AgentError for nonsense."""
    managers = list(offered.values()) if isinstance(offered, dict) else [None]
    items = [item for steps in managers for item in (steps if isinstance(steps, list) else [None])]
    if len(items) > MAX_STEPS:
        raise AgentError(f"The agent offers {len(items)} steps, more than {MAX_STEPS}.")
    return [_spec(item, overrides) for item in items]


def _spec(item: object, overrides: dict[str, int]) -> StepSpec:
    offer: dict[str, Any] = item if isinstance(item, dict) else {}
    argsinfo = offer.get("argsinfo")
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
                argsinfo=argsinfo if isinstance(argsinfo, dict) else {},
            )
    raise AgentError(
        f"The agent offers a step without a proper interface, name and priority: {str(item)[:200]}"
    )
