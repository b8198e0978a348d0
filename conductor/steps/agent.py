"""Commands of the ramdisk's agent within a step: ask one, or start one, wait, read the result.

Which steps the ramdisk has is ``agentsteps.py``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conductor import agentclient
from conductor.outcomes import Done, Outcome, Wait
from conductor.plans import FLOWS
from drophammer.errors import AgentBusy, AgentError, AgentUnreachable, Unavailable
from drophammer.model import Agent, Step

if TYPE_CHECKING:
    from conductor.task import Task


# Marks in a step's cursor what the agent had been told before the command of a stage.
_BEFORE = "before_"


class StepsChanged(AgentError):
    """The agent runs no step that was planned for another ramdisk than it is."""


def ask(task: Task, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a command that answers at once.

    Raises AgentError when it failed, Unavailable while the agent is busy.
    """
    try:
        answer = task.box.agents.run(need_agent(task), name, params, wait=True)
    except AgentBusy as busy:
        # With what a conductor before us has asked, most likely: it may ask again later.
        raise Unavailable(busy.message) from busy
    if answer.status != agentclient.SUCCEEDED or answer.result is None:
        raise AgentError(f"The agent failed at {name}: {answer.error or answer.status}")
    return answer.result


def kind_of(task: Task) -> str:
    """The agent's word for what is being done: clean, deploy or service."""
    return FLOWS[task.operation.flow].purpose or "clean"


def run_command(
    task: Task, step: Step, name: str, params: dict[str, Any], *, stage: str = "command"
) -> Outcome:
    """Start an asynchronous agent command, or look at the one started on an earlier visit.

    What the agent had been told before is journalled before the command is sent, and the
    command's id after it: so it is found again, whenever its sender dies, and never started
    twice. ``stage`` keeps several commands of one step apart.
    """
    agent = need_agent(task)
    before: list[str] | None = step.cursor.get(f"{_BEFORE}{stage}")
    started: str | None = step.cursor.get(stage)
    try:
        present = task.box.agents.commands(agent)
    except AgentUnreachable:
        if before is None:
            raise
        # It may be too busy to answer; its next heartbeat, or the deadline, decides.
        return Wait()
    _refuse_restarted(agent, name, before or [], started, present)
    result = _same(name, before, started, present)
    if result is None:
        task.note(step, **{f"{_BEFORE}{stage}": [item.id for item in present]})
        try:
            result = task.box.agents.run(agent, name, params, wait=False)
        except (AgentBusy, AgentUnreachable):
            # Whether it was heard shows in what the agent knows the next time.
            return Wait()
    if started is None:
        task.note(step, **{stage: result.id})
    return _judge(task, step, name, result)


def commands_of(cursor: Mapping[str, Any]) -> list[str]:
    """The ids of the commands that a step was seen to start."""
    stages = [mark.removeprefix(_BEFORE) for mark in cursor if mark.startswith(_BEFORE)]
    return [cursor[stage] for stage in stages if stage in cursor]


def _refuse_restarted(
    agent: Agent,
    name: str,
    before: list[str],
    started: str | None,
    present: list[agentclient.Result],
) -> None:
    """Raise AgentError when the agent is not the one that the command was, or may have been, for.

    An agent forgets nothing in its life, and always has been asked something before.
    """
    known = {item.id for item in present}
    if started is not None and started not in known:
        raise AgentError(
            f"The agent at {agent.url} no longer knows the command {name}: its machine was "
            "restarted while the command ran."
        )
    if not known.issuperset(before):
        raise AgentError(
            f"The machine of the agent at {agent.url} was restarted just when it was to be told "
            f"{name}. Whether it had begun with that is not known, and it is not begun twice; "
            "look at what is on its disks."
        )


def _same(
    name: str, before: list[str] | None, started: str | None, present: list[agentclient.Result]
) -> agentclient.Result | None:
    """The command as the agent knows it, if it was sent on an earlier visit."""
    if started is not None:
        return next(item for item in present if item.id == started)
    if before is None:
        return None
    command = name.partition(".")[2]
    ours = [item for item in present if item.id not in before and item.name == command]
    return ours[-1] if ours else None


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
        return Done({"command": name, **_effect(result)})
    if result.status in agentclient.VERSION_MISMATCH:
        raise StepsChanged(
            f"The ramdisk did not run {step.interface}.{step.step}: it has other hardware "
            "managers than when it told of its steps."
        )
    raise AgentError(
        f"Step {step.interface}.{step.step} failed on the machine: {result.error or result.status}"
    )


def _effect(result: agentclient.Result) -> dict[str, bool]:
    """``effective`` is False where a clean step tells that it found nothing to do it to."""
    # What hardware managers tell of each disk; silence says nothing.
    told = (result.result or {}).get("clean_result")
    return {"effective": False} if told in ({}, []) else {}
