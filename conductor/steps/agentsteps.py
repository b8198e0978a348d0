"""Which of the ramdisk's steps run, and where among the others: learnt from the agent itself.

Cleaning is planned here, from all that there is; a deployment takes in what the ramdisk
has for it; an operator's list is compared with what there is. When the ramdisk turns
out to be another one than that which was planned with, planning begins again.
Sending commands to the agent is ``agent.py``'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conductor import priorities, stepplan
from conductor.outcomes import Done, Outcome
from conductor.payload import node_for_agent, ports_for_agent
from conductor.plans import FLOWS
from conductor.stepplan import AGENT_LEAVES, RESERVED, TEMPLATE, USER
from conductor.steps import agentoffer
from conductor.steps.agent import StepsChanged, kind_of, need_agent, run_command
from conductor.wish import own
from drophammer import operations
from drophammer.errors import AgentError, HardwareError, Invalid
from drophammer.model import Step
from drophammer.operations import StepSpec
from drophammer.text import readable

if TYPE_CHECKING:
    from conductor.task import Task

# A ramdisk that is another one each time is looked at is not worth a fourth time.
MAX_RESTARTS = 3
_RESTARTED = "planned_again"
_VERSION = "version"
_AGENT = "agent"
_AUTOMATED = ("clean", "delete")


def plan_agent_steps(task: Task, step: Step) -> Outcome:
    """Ask the agent for its clean steps; plan them and the driver's that have a priority."""
    given = priorities.given(task.box.settings, task.node)
    agent = agentoffer.ask_for_steps(task)
    offers = priorities.applied(
        [*agent.steps, *stepplan.offered(task.driver, task.node, "clean")], given
    )
    specs = stepplan.automatic(offers)
    if not any(stepplan.erases(spec.step) for spec in specs):
        raise AgentError(stepplan.nothing_to_erase(task.node, offers))
    task.replan(step, [*_with_reboots(specs), own("confirm_erasure"), own("leave_ramdisk")])
    return Done({"steps": [spec.step for spec in specs], _VERSION: agent.version})


def refuse_cleaning(task: Task, step: Step) -> Outcome:
    """The plan was that it cannot be: see ``plans.py``."""
    raise Invalid(str(step.args["reason"]))


def confirm_erasure(task: Task, step: Step) -> Outcome:
    """Automated cleaning has erased something: not every step that succeeds does."""
    asked = [
        other
        for other in _before(task, step)
        if other.interface != "conductor"
        and stepplan.erases(other.step)
        and _RESTARTED not in other.result
    ]
    if any(other.result.get("effective", True) for other in asked):
        return Done()
    names = ", ".join(f"{other.interface}.{other.step}" for other in asked)
    raise HardwareError(
        f"Cleaning of node {task.node.uuid} has erased nothing: the ramdisk ran {names} and found "
        "no disk to do it to. Are the disks there, and has the ramdisk the driver for their "
        "controller? Set the node's automated_clean to false if it is to have none."
    )


def join_agent_steps(task: Task, step: Step) -> Outcome:
    """Take the ramdisk's deploy steps that have a priority into what is still to be done.

    A step that somebody named, or took out, or that the driver has itself, is left at that.
    """
    offer = agentoffer.ask_for_steps(task)
    behind = [_as_offered(task, later, offer.by_name()) for later in _planned_behind(task, step)]
    settled = {(spec.interface, spec.step) for spec in behind} | _run_before(task, step)
    joining = [
        spec
        for spec in stepplan.automatic(offer.steps)
        if (spec.interface, spec.step) not in settled
        and f"{spec.interface}.{spec.step}" not in step.args["left_out"]
    ]
    specs = sorted([*behind, *joining], key=stepplan.rank)
    _refuse_without_ramdisk(specs)
    for spec in joining:
        _check_arguments(spec, spec)
    task.replan(step, _with_reboots(specs))
    joined = [f"{spec.interface}.{spec.step}" for spec in joining]
    return Done({"joined": joined, _VERSION: offer.version})


def check_agent_steps(task: Task, step: Step) -> Outcome:
    """Does the ramdisk have the steps that the operator named and no interface offers?"""
    offer = agentoffer.ask_for_steps(task)
    specs = [_as_offered(task, later, offer.by_name()) for later in _planned_behind(task, step)]
    task.replan(step, _with_reboots(specs))
    return Done({_VERSION: offer.version})


def meet_agent_again(task: Task, step: Step) -> Outcome:
    """After a reboot between two steps: is it still the ramdisk that was planned with?"""
    version = agentoffer.ask_for_steps(task).version
    planned = [other.result[_VERSION] for other in _before(task, step) if _VERSION in other.result]
    if not planned or version == planned[-1]:
        return Done()
    text = f"After a reboot the ramdisk's hardware managers are {version}, not {planned[-1]}."
    return plan_again(task, step, StepsChanged(readable(text)))


def runs_on_agent(task: Task, step: Step) -> bool:
    """Whether a step is the ramdisk's: told by it, or named by somebody and nobody else's."""
    if step.source not in (USER, TEMPLATE) or step.interface == "conductor":
        return step.source == _AGENT and step.interface != "conductor"
    purpose = FLOWS[task.operation.flow].purpose
    if step.step in RESERVED or purpose is None or not task.driver.deploy.uses_agent:
        return False
    offers = task.driver.interface(step.interface).steps(task.node, purpose)
    return all(offer.step != step.step for offer in offers)


def agent_step(task: Task, step: Step) -> Outcome:
    """Run one of the agent's own steps."""
    kind = kind_of(task)
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
    try:
        return run_command(task, step, f"{kind}.execute_{kind}_step", params)
    except StepsChanged as changed:
        return plan_again(task, step, changed)


def plan_again(task: Task, step: Step, changed: StepsChanged) -> Outcome:
    """The ramdisk's hardware managers are others than were planned with, as is seen at ``step``.

    Nothing was done in it, then. Cleaning and an operator's list begin from the beginning; what a
    deployment has done stays done. Raises AgentError when this does not end.
    """
    again = sum(_RESTARTED in other.result for other in _before(task, step))
    if again >= MAX_RESTARTS:
        raise AgentError(
            f"{changed.message} Planned again {again} times; the ramdisk's steps do not "
            "settle. Look at what its hardware managers report as their versions."
        )
    task.replan(step, _plan_again(task, step))
    return Done({_RESTARTED: changed.message})


def _plan_again(task: Task, step: Step) -> list[StepSpec]:
    flow = task.operation.flow
    if flow in _AUTOMATED:
        return [own("plan_agent_steps"), own("leave_ramdisk")]
    behind = [StepSpec.of(later) for later in _planned_behind(task, step)]
    before = _before(task, step)
    if flow == "deploy":
        joined = next(other for other in before if other.step == "join_agent_steps")
        # One that the ramdisk had brought along joins again if it still has it.
        this = [] if step.source == _AGENT else [StepSpec.of(step)]
        return [own("join_agent_steps", **joined.args), *this, *behind]
    start = max(n for n, other in enumerate(before) if other.step == "check_agent_steps")
    named = [StepSpec.of(other) for other in (*before[start + 1 :], step) if other.source != _AGENT]
    return [own("check_agent_steps"), *named, *behind]


def _before(task: Task, step: Step) -> list[Step]:
    """What has been done before ``step``, with its results, as the database has it."""
    with task.box.store.read() as session:
        journal = operations.steps_of(session, [task.operation.id])
    return [other for other in journal if other.position < step.position]


def _planned_behind(task: Task, step: Step) -> list[Step]:
    """What follows, without what the ramdisk has brought in on an earlier visit."""
    return [later for later in task.steps_behind(step) if later.source != _AGENT]


def _run_before(task: Task, step: Step) -> set[tuple[str, str]]:
    return {
        (other.interface, other.step)
        for other in _before(task, step)
        if _RESTARTED not in other.result
    }


def _as_offered(task: Task, step: Step, offers: dict[tuple[str, str], StepSpec]) -> StepSpec:
    """A planned step, with what the ramdisk says of it. Raises AgentError when it has none such."""
    spec = StepSpec.of(step)
    if not runs_on_agent(task, step):
        return spec
    offer = offers.get((step.interface, step.step))
    if offer is None:
        have = ", ".join(f"{interface}.{step}" for interface, step in sorted(offers)) or "none"
        name = f"{step.interface}.{step.step}"
        raise AgentError(f"The ramdisk has no step {name}; it offers: {have}.")
    _check_arguments(spec, offer)
    return replace(spec, abortable=offer.abortable, reboot_requested=offer.reboot_requested)


def _check_arguments(spec: StepSpec, offer: StepSpec) -> None:
    try:
        stepplan.check_arguments(f"{spec.interface}.{spec.step}", spec.args, offer.argsinfo)
    except Invalid as error:
        raise AgentError(f"The ramdisk's step does not fit. {error.message}") from error


def _refuse_without_ramdisk(specs: list[StepSpec]) -> None:
    """Raise AgentError for a step of the ramdisk's that would come when it has gone."""
    names = [(spec.interface, spec.step) for spec in specs]
    last = names.index(AGENT_LEAVES) if AGENT_LEAVES in names else len(names)
    for spec in specs[last:]:
        if spec.source == _AGENT:
            raise AgentError(
                f"The ramdisk has the step {spec.interface}.{spec.step} run at priority "
                f"{spec.priority}, when deploy.tear_down_agent (priority {specs[last].priority}) "
                "has sent it away. Give the step a higher priority there, or take it out with "
                "priority 0 in deploy_steps or a deploy template."
            )


def _with_reboots(specs: list[StepSpec]) -> list[StepSpec]:
    """A fresh ramdisk behind each step that asks for a reboot, unless none follows it."""
    steps: list[StepSpec] = []
    for number, spec in enumerate(specs, 1):
        steps.append(spec)
        follows = any(later.interface != "conductor" for later in specs[number:])
        if spec.reboot_requested and follows:
            steps += [
                StepSpec("conductor", name, source=_AGENT)
                for name in ("boot_ramdisk", "meet_agent_again")
            ]
    return steps
