"""What people are told of work: how it went wrong, what was done about it, what they can do.

The one composer of ``last_error``, the operation's error and the history. A report is a
few sentences, the first of which is the essence: what was tried, against whom, what came
back. That part is journalled as soon as it is known (``cause``); the rest (``outcome``)
follows when the machine has been left as it can be left. Nothing here asks a machine.
"""

from __future__ import annotations

import datetime
import errno
import os
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from drophammer import masking, outage, states
from drophammer.errors import (
    AgentError,
    AgentUnreachable,
    BmcAuthFailed,
    BmcUnreachable,
    DrophammerError,
    Unsupported,
)
from drophammer.model import Node, Operation, Step
from drophammer.text import readable, sentence, span

if TYPE_CHECKING:
    from conductor.task import Task

_PLACE = " This was "
# A machine's own words may be any number.
MAX_CAUSE = 2000

# What to look at, by the kind of error, for errors that do not say so themselves. The
# nearest class counts.
CHECKS: dict[type[DrophammerError], str] = {
    AgentUnreachable: "Look at the machine's console whether its ramdisk still runs, and check "
    "that this conductor reaches its address.",
    AgentError: "Look at the machine's console for what its ramdisk says besides.",
    BmcAuthFailed: "Check user name and password in the node's driver_info.",
    BmcUnreachable: "Check the address in the node's driver_info, and that the controller has "
    "power and network.",
    Unsupported: "Check the node's driver and interfaces, and which ones the conductors have "
    "enabled.",
}
_SAYS_SO = ("Check ", "Look at ")

# What an operator can do from where bad work leaves a node.
WAYS_ON: dict[str, str] = {
    states.ENROLL: "'manage' tries again",
    states.INSPECT_FAILED: "'inspect' tries again, 'manage' leaves it at that",
    states.ADOPT_FAILED: "'adopt' tries again, 'manage' leaves it at that",
    states.CLEAN_FAILED: "'manage', and from there 'provide' or 'clean' tries again",
    states.DEPLOY_FAILED: "'active' tries again, 'deleted' gives it up",
    states.ERROR: "'deleted' tries again, 'rebuild' deploys it anew",
    states.RESCUE_FAILED: "'rescue' tries again, 'unrescue' brings the deployed system back, "
    "'deleted' gives it up",
    states.UNRESCUE_FAILED: "'unrescue' tries again, 'rescue' goes to the rescue system, "
    "'deleted' gives it up",
    states.SERVICE_FAILED: "'service' tries again, 'abort' brings the deployed system back, "
    "'deleted' gives it up",
}
_POWER_AGAIN = "the power command can be given again"


def cause(task: Task, step: Step | None, error: str | DrophammerError) -> str:
    """What went wrong and where: the part of a report that does not change any more."""
    return f"{_essence(task.node, error)}{_PLACE}{_where(task, step)}"


def essence(told: str) -> str:
    """The first part of a report: what was tried, against whom, what came back."""
    return told.partition(_PLACE)[0]


def outcome(
    task: Task, state: str, values: dict[str, Any], *, aborted: bool, clean: bool = True
) -> str:
    """What became of machine and node, now in ``state`` and with ``values``; what is possible.

    ``clean``: whether the machine could be left as it should be.
    """
    power = values.get("power_state", task.node.power_state)
    machine = f"The machine is {power.removeprefix('power ')}; the" if power else "The"
    maintained = values.get("maintenance", task.node.maintenance)
    kept = ", in maintenance" if maintained else ""
    left = "" if clean else " Its clean-up did not work whole: see the node's events."
    text = f"{machine} node is in '{state}'{kept}.{left}"
    ways = _POWER_AGAIN if task.operation.flow == "power" else WAYS_ON.get(state)
    if ways is None:
        return text
    first = "" if aborted else "fix the cause, "
    if maintained:
        first += "end the maintenance, "
    return f"{text} Nothing is retried by itself: {first and f'{first}then '}{ways}."


def aborted(task: Task, step: Step) -> str:
    """That the operator wanted it to end, and where it was."""
    when = "before" if step.started_at is None else "during"
    who = task.operation.request.get("aborted_by")
    asked = f", asked by {who}" if who else ""
    return f"Aborted by the operator's request {when} {step_name(step)}{asked}."


def timed_out(task: Task, step: Step | None) -> str:
    """How long it stayed in which state, and what was last heard or tried."""
    state = task.node.provision_state
    since = task.node.provision_updated_at or task.operation.created_at
    doing = f" in step '{step_name(step)}'" if step is not None else ""
    passed = span((task.now() - since).total_seconds())
    last = step.error if step is not None and step.error else _last_heard(task)
    return f"Timed out after {passed} in state '{state}'{doing}. {last}"


# How a report on a power failure begins: by that it is known again when the failure is over.
POWER_FAILURE_BEGINS = "Power failure: "


def power_failure(
    node: Node,
    error: str | DrophammerError,
    times: int,
    since: datetime.datetime,
    now: datetime.datetime,
    every: float,
) -> str:
    """A whole report on a power controller that was asked in vain, again and again."""
    again = (
        f"It is asked again every {every:.0f} s, and the fault ends when it answers"
        if every > 0
        else "It is not asked again by itself ([conductor] power_failure_recovery_interval is 0)"
    )
    return readable(
        f"{POWER_FAILURE_BEGINS}{_essence(node, error)} That was the answer to the last of {times} "
        f"questions for the power state, over {span((now - since).total_seconds())} since "
        f"{since:%Y-%m-%d %H:%M:%S} UTC. {again}; until then no allocation gets this node."
    )


def unexpected(what: str, error: Exception, key: str) -> str:
    """For errors that nobody foresaw. What they say themselves is for the log, under ``key``."""
    known_outage = outage.told(error) if isinstance(error, SQLAlchemyError) else None
    if known_outage is not None:
        return f"{what} failed: {known_outage.message}"
    code = error.errno if isinstance(error, OSError) else None
    known = code in errno.errorcode
    said = f" (the operating system: {os.strerror(code or 0)})" if known else ""
    return (
        f"{what} failed unexpectedly{said}. That is a mistake in a driver or in this service, "
        f"not in the machine; the conductor's log has the details beside {key}."
    )


def call(node: Node, purpose: str, error: str | DrophammerError, passed: float) -> str:
    """A whole report on a single call to the hardware that failed behind its answer."""
    return readable(
        f"{_essence(node, error)}{_PLACE}'{purpose}', begun {span(passed)} before; the node "
        f"is in '{node.provision_state}' and otherwise as it was. Nothing is retried by itself: "
        "fix the cause, then ask for it again."
    )


def refusal(node: Node, purpose: str, error: DrophammerError) -> str:
    """Of a single call to the hardware whose caller waits: what was tried, what came back."""
    told = _essence(node, error).removeprefix(f"Node {node.uuid}: ")
    return readable(f"Node {node.uuid}: '{purpose}' failed: {told}")


def account(operation: Operation, state: str, now: datetime.datetime) -> dict[str, Any]:
    """Who did what, from where to where, for how long: of an operation that ends in ``state``."""
    return {
        "verb": operation.verb,
        "flow": operation.flow,
        "from": operation.request.get("begun_in"),
        "to": state,
        "seconds": round(max(0.0, (now - operation.created_at).total_seconds()), 3),
        "user": operation.request.get("user"),
    }


def success(told: dict[str, Any]) -> str:
    """The sentence for an operation of which ``account`` told, and that went well."""
    begun, state = told["from"], told["to"]
    way = f"is {state}" if begun in (None, state) else f"went from {begun} to {state}"
    return f"'{told['verb']}' has been done in {span(told['seconds'])}; the node {way}."


def replaced(told: dict[str, Any], verb: str, by: str | None) -> str:
    """The sentence for an operation that was given up because ``by`` asked for ``verb``."""
    who = f", asked by {by}" if by else ""
    return f"'{told['verb']}' was given up for '{verb}'{who} after {span(told['seconds'])}."


def after(node: Node, event: str | None) -> str:
    """The state to which ``event`` takes the node; None takes it nowhere."""
    state = node.provision_state
    return state if event is None else states.next_state(state, event)


def step_name(step: Step) -> str:
    """A step as an operator may know it; the conductor's own are not part of any wire."""
    if step.interface == "conductor":
        return step.step.replace("_", " ")
    return f"{step.interface}.{step.step}"


def _essence(node: Node, error: str | DrophammerError) -> str:
    told = error.message if isinstance(error, DrophammerError) else error
    text = masking.scrub(told, node.driver_info, node.instance_info)
    text = sentence(readable(text, MAX_CAUSE))
    if any(words in text for words in _SAYS_SO):
        return text
    kind = next((kind for kind in type(error).__mro__ if kind in CHECKS), None)
    return text if kind is None else f"{text} {CHECKS[kind]}"


def _where(task: Task, step: Step | None) -> str:
    verb = task.operation.verb
    if step is None:
        begun, place = task.operation.created_at, f"'{verb}'"
    else:
        begun = step.started_at or task.now()
        place = (
            f"step {step.position + 1} of {task.last_position() + 1} of '{verb}' "
            f"({step_name(step)}, {_by(task, step)})"
        )
    passed = span((task.now() - begun).total_seconds())
    return f"{place}, begun at {begun:%Y-%m-%d %H:%M:%S} UTC and ended after {passed}."


def _by(task: Task, step: Step) -> str:
    """Whose work a step is."""
    node = task.node
    if step.source == "agent" and step.interface != "conductor":
        agent = task.agent()
        return f"by the ramdisk at {agent.url}" if agent is not None and agent.url else "ramdisk"
    name = getattr(node, f"{step.interface}_interface", None)
    if name:
        return f"{step.interface} interface '{name}'"
    return f"driver '{node.driver}'"


def _last_heard(task: Task) -> str:
    if task.node.provision_state not in states.WAITING:
        return "What it was doing did not come to an end."
    agent = task.agent()
    if agent is None or agent.last_beat is None or not agent.url:
        return (
            "Its ramdisk never called back: see the node's events for how far the network boot "
            "came, and its serial console."
        )
    return f"Its ramdisk was last heard of at {agent.last_beat:%Y-%m-%d %H:%M:%S} UTC."
