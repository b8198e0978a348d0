"""The life of a node: every state, every transition, every verb, in one table.

The table is built once into a frozen automaton machine. No other file decides
where an event leads; others ask ``next_state`` and ``verb_event``. The names are
Ironic's wire strings, spaces and hyphens included. The picture in
``docs/states.md`` is generated from this file (``python -m drophammer.states``).
"""

from __future__ import annotations

from dataclasses import dataclass

from automaton import exceptions as automaton_errors
from automaton import machines

from drophammer.errors import InvalidState

ENROLL = "enroll"
VERIFYING = "verifying"
MANAGEABLE = "manageable"
AVAILABLE = "available"
INSPECTING = "inspecting"
INSPECT_WAIT = "inspect wait"
INSPECT_FAILED = "inspect failed"
ADOPTING = "adopting"
ADOPT_FAILED = "adopt failed"
CLEANING = "cleaning"
CLEAN_WAIT = "clean wait"
CLEAN_HOLD = "clean hold"
CLEAN_FAILED = "clean failed"
DEPLOYING = "deploying"
WAIT_CALL_BACK = "wait call-back"
DEPLOY_HOLD = "deploy hold"
DEPLOY_FAILED = "deploy failed"
ACTIVE = "active"
DELETING = "deleting"
ERROR = "error"
RESCUING = "rescuing"
RESCUE_WAIT = "rescue wait"
RESCUE = "rescue"
RESCUE_FAILED = "rescue failed"
UNRESCUING = "unrescuing"
UNRESCUE_FAILED = "unrescue failed"
SERVICING = "servicing"
SERVICE_WAIT = "service wait"
SERVICE_HOLD = "service hold"
SERVICE_FAILED = "service failed"

STABLE, TRANSIENT, WAIT, HOLD, FAILED = "stable", "transient", "wait", "hold", "failed"


@dataclass(frozen=True)
class State:
    """One provision state.

    ``target`` is the ``target_provision_state`` taken on entry (None: resting).
    ``lookup`` says whether a ramdisk may look its node up in this state.
    """

    name: str
    kind: str
    target: str | None
    meaning: str
    lookup: bool = False


STATES: dict[str, State] = {
    state.name: state
    for state in (
        State(ENROLL, STABLE, None, "known by name only; nothing about it has been checked"),
        State(VERIFYING, TRANSIENT, MANAGEABLE, "the power controller is being asked"),
        State(MANAGEABLE, STABLE, None, "the power controller answers; ready to be worked on"),
        State(AVAILABLE, STABLE, None, "cleaned and ready to be deployed"),
        State(INSPECTING, TRANSIENT, MANAGEABLE, "hardware is being read", lookup=True),
        State(INSPECT_WAIT, WAIT, MANAGEABLE, "the ramdisk is collecting facts", lookup=True),
        State(INSPECT_FAILED, FAILED, MANAGEABLE, "the facts could not be collected"),
        State(ADOPTING, TRANSIENT, ACTIVE, "a system deployed elsewhere is being taken over"),
        State(ADOPT_FAILED, FAILED, ACTIVE, "the running system could not be taken over"),
        State(CLEANING, TRANSIENT, AVAILABLE, "a cleaning step is running", lookup=True),
        State(CLEAN_WAIT, WAIT, AVAILABLE, "the ramdisk is cleaning", lookup=True),
        State(CLEAN_HOLD, HOLD, AVAILABLE, "cleaning is held for the operator"),
        State(CLEAN_FAILED, FAILED, AVAILABLE, "cleaning did not finish"),
        State(DEPLOYING, TRANSIENT, ACTIVE, "a deploy step is running", lookup=True),
        State(WAIT_CALL_BACK, WAIT, ACTIVE, "the ramdisk is to answer or is writing", lookup=True),
        State(DEPLOY_HOLD, HOLD, ACTIVE, "deployment is held for the operator"),
        State(DEPLOY_FAILED, FAILED, ACTIVE, "deployment did not finish"),
        State(ACTIVE, STABLE, None, "a deployed system owns the machine"),
        State(DELETING, TRANSIENT, AVAILABLE, "the deployed system is being given up"),
        State(ERROR, FAILED, None, "giving the system up failed"),
        State(RESCUING, TRANSIENT, RESCUE, "the rescue system is being prepared", lookup=True),
        State(RESCUE_WAIT, WAIT, RESCUE, "the rescue system is to answer", lookup=True),
        State(RESCUE, STABLE, None, "the rescue system is running"),
        State(RESCUE_FAILED, FAILED, RESCUE, "the rescue system did not come up"),
        State(UNRESCUING, TRANSIENT, ACTIVE, "the machine is going back to its own system"),
        State(UNRESCUE_FAILED, FAILED, ACTIVE, "going back to its own system failed"),
        State(SERVICING, TRANSIENT, ACTIVE, "a service step is running"),
        State(SERVICE_WAIT, WAIT, ACTIVE, "the ramdisk is servicing", lookup=True),
        State(SERVICE_HOLD, HOLD, ACTIVE, "servicing is held for the operator"),
        State(SERVICE_FAILED, FAILED, ACTIVE, "servicing did not finish"),
    )
}

TRANSITIONS: tuple[tuple[str, str, str], ...] = (
    (ENROLL, "manage", VERIFYING),
    (VERIFYING, "done", MANAGEABLE),
    (VERIFYING, "fail", ENROLL),
    (MANAGEABLE, "adopt", ADOPTING),
    (MANAGEABLE, "clean", CLEANING),
    (MANAGEABLE, "inspect", INSPECTING),
    (MANAGEABLE, "provide", CLEANING),
    (AVAILABLE, "deploy", DEPLOYING),
    (AVAILABLE, "manage", MANAGEABLE),
    (INSPECTING, "done", MANAGEABLE),
    (INSPECTING, "fail", INSPECT_FAILED),
    (INSPECTING, "wait", INSPECT_WAIT),
    (INSPECT_WAIT, "resume", INSPECTING),
    (INSPECT_WAIT, "done", MANAGEABLE),
    (INSPECT_WAIT, "fail", INSPECT_FAILED),
    (INSPECT_WAIT, "abort", INSPECT_FAILED),
    (INSPECT_FAILED, "inspect", INSPECTING),
    (INSPECT_FAILED, "manage", MANAGEABLE),
    (ADOPTING, "done", ACTIVE),
    (ADOPTING, "fail", ADOPT_FAILED),
    (ADOPT_FAILED, "adopt", ADOPTING),
    (ADOPT_FAILED, "manage", MANAGEABLE),
    (CLEANING, "done", AVAILABLE),
    (CLEANING, "fail", CLEAN_FAILED),
    (CLEANING, "hold", CLEAN_HOLD),
    (CLEANING, "manage", MANAGEABLE),
    (CLEANING, "wait", CLEAN_WAIT),
    (CLEAN_WAIT, "resume", CLEANING),
    (CLEAN_WAIT, "hold", CLEAN_HOLD),
    (CLEAN_WAIT, "fail", CLEAN_FAILED),
    (CLEAN_WAIT, "abort", CLEAN_FAILED),
    (CLEAN_HOLD, "unhold", CLEAN_WAIT),
    (CLEAN_HOLD, "abort", CLEAN_FAILED),
    (CLEAN_FAILED, "manage", MANAGEABLE),
    (DEPLOYING, "done", ACTIVE),
    (DEPLOYING, "fail", DEPLOY_FAILED),
    (DEPLOYING, "hold", DEPLOY_HOLD),
    (DEPLOYING, "wait", WAIT_CALL_BACK),
    (WAIT_CALL_BACK, "resume", DEPLOYING),
    (WAIT_CALL_BACK, "hold", DEPLOY_HOLD),
    (WAIT_CALL_BACK, "fail", DEPLOY_FAILED),
    (WAIT_CALL_BACK, "abort", DEPLOY_FAILED),
    (WAIT_CALL_BACK, "delete", DELETING),
    (DEPLOY_HOLD, "unhold", WAIT_CALL_BACK),
    (DEPLOY_HOLD, "abort", DEPLOY_FAILED),
    (DEPLOY_FAILED, "deploy", DEPLOYING),
    (DEPLOY_FAILED, "rebuild", DEPLOYING),
    (DEPLOY_FAILED, "delete", DELETING),
    (ACTIVE, "delete", DELETING),
    (ACTIVE, "rebuild", DEPLOYING),
    (ACTIVE, "rescue", RESCUING),
    (ACTIVE, "service", SERVICING),
    (DELETING, "clean", CLEANING),
    (DELETING, "fail", ERROR),
    (ERROR, "rebuild", DEPLOYING),
    (ERROR, "delete", DELETING),
    (RESCUING, "done", RESCUE),
    (RESCUING, "fail", RESCUE_FAILED),
    (RESCUING, "wait", RESCUE_WAIT),
    (RESCUE_WAIT, "resume", RESCUING),
    (RESCUE_WAIT, "fail", RESCUE_FAILED),
    (RESCUE_WAIT, "abort", RESCUE_FAILED),
    (RESCUE_WAIT, "delete", DELETING),
    (RESCUE, "rescue", RESCUING),
    (RESCUE, "unrescue", UNRESCUING),
    (RESCUE, "delete", DELETING),
    (RESCUE_FAILED, "rescue", RESCUING),
    (RESCUE_FAILED, "unrescue", UNRESCUING),
    (RESCUE_FAILED, "delete", DELETING),
    (UNRESCUING, "done", ACTIVE),
    (UNRESCUING, "fail", UNRESCUE_FAILED),
    (UNRESCUE_FAILED, "rescue", RESCUING),
    (UNRESCUE_FAILED, "unrescue", UNRESCUING),
    (UNRESCUE_FAILED, "delete", DELETING),
    (SERVICING, "done", ACTIVE),
    (SERVICING, "fail", SERVICE_FAILED),
    (SERVICING, "hold", SERVICE_HOLD),
    (SERVICING, "wait", SERVICE_WAIT),
    (SERVICE_WAIT, "resume", SERVICING),
    (SERVICE_WAIT, "hold", SERVICE_HOLD),
    (SERVICE_WAIT, "fail", SERVICE_FAILED),
    (SERVICE_WAIT, "abort", SERVICE_FAILED),
    (SERVICE_WAIT, "delete", DELETING),
    (SERVICE_HOLD, "service", SERVICING),
    (SERVICE_HOLD, "unhold", SERVICE_WAIT),
    (SERVICE_HOLD, "fail", SERVICE_FAILED),
    (SERVICE_HOLD, "abort", SERVICE_FAILED),
    (SERVICE_FAILED, "service", SERVICING),
    (SERVICE_FAILED, "rescue", RESCUING),
    (SERVICE_FAILED, "delete", DELETING),
    (SERVICE_FAILED, "abort", ACTIVE),
    (SERVICE_FAILED, "hold", SERVICE_HOLD),
    (SERVICE_FAILED, "wait", SERVICE_WAIT),
)


@dataclass(frozen=True)
class Verb:
    """What an operator may ask for with ``PUT /v1/nodes/{id}/states/provision``.

    ``since`` is the minor number of the first microversion (1.x) that has it.
    ``never_from`` are states that have the event for the conductor's own use only.
    """

    target: str
    event: str
    since: int
    never_from: frozenset[str] = frozenset()


VERBS: dict[str, Verb] = {
    verb.target: verb
    for verb in (
        Verb("manage", "manage", 4, frozenset({CLEANING})),
        Verb("provide", "provide", 4),
        Verb("inspect", "inspect", 6),
        Verb("active", "deploy", 1),
        Verb("deploy", "deploy", 73),
        Verb("rebuild", "rebuild", 1),
        Verb("deleted", "delete", 1),
        Verb("undeploy", "delete", 73),
        Verb("clean", "clean", 15, frozenset({DELETING})),
        Verb("abort", "abort", 13),
        Verb("adopt", "adopt", 17),
        Verb("rescue", "rescue", 38),
        Verb("unrescue", "unrescue", 38),
        Verb("unhold", "unhold", 85),
        Verb("service", "service", 87),
    )
}

# "abort" came to these states later than to the others.
ABORT_SINCE: dict[str, int] = {INSPECT_WAIT: 41, WAIT_CALL_BACK: 110}

# A node may be patched while a target is set only when work is over or has not touched it.
PATCHABLE_WITH_TARGET: frozenset[str] = frozenset(
    {
        ERROR,
        VERIFYING,
        DEPLOY_FAILED,
        CLEAN_FAILED,
        INSPECTING,
        INSPECT_FAILED,
        INSPECT_WAIT,
        ADOPT_FAILED,
        RESCUE_FAILED,
        UNRESCUE_FAILED,
        SERVICE_FAILED,
        SERVICE_HOLD,
    }
)
DELETABLE: frozenset[str] = frozenset({ENROLL, MANAGEABLE, ADOPT_FAILED, AVAILABLE})
INTERFACES_CHANGEABLE: frozenset[str] = frozenset(
    {ENROLL, INSPECTING, INSPECT_WAIT, MANAGEABLE, AVAILABLE}
)
LOOKUP_ALLOWED: frozenset[str] = frozenset(s.name for s in STATES.values() if s.lookup)
WAITING: frozenset[str] = frozenset(s.name for s in STATES.values() if s.kind == WAIT)
HOLDING: frozenset[str] = frozenset(s.name for s in STATES.values() if s.kind == HOLD)
WORKING: frozenset[str] = frozenset(s.name for s in STATES.values() if s.kind == TRANSIENT)

POWER_ON, POWER_OFF, POWER_ERROR = "power on", "power off", "error"


def _build() -> machines.FiniteMachine:
    machine = machines.FiniteMachine()
    for state in STATES.values():
        machine.add_state(state.name)
    for start, event, end in TRANSITIONS:
        machine.add_transition(start, end, event)
    machine.freeze()
    return machine


_MACHINE = _build()


def next_state(state: str, event: str) -> str:
    """Where ``event`` leads from ``state``. Raises InvalidState when it leads nowhere."""
    machine = _MACHINE.copy(shallow=True)
    try:
        machine.initialize(state)
        machine.process_event(event)
    except automaton_errors.AutomatonException as error:
        raise InvalidState(
            f"A node in state '{state}' does not take the event '{event}'."
        ) from error
    return str(machine.current_state)


def has_event(state: str, event: str) -> bool:
    """Whether ``event`` leads anywhere from ``state``."""
    return (state, event) in _EDGES


# Events within one piece of work: they keep what is being sought (manual cleaning
# seeks "manageable" where the state by itself would seek "available").
_CONTINUING = frozenset({"wait", "resume", "fail", "abort", "hold", "unhold"})

_EDGES: dict[tuple[str, str], str] = {(start, event): end for start, event, end in TRANSITIONS}


def next_target(
    state: str, event: str, current_target: str | None, explicit: str | None = None
) -> str | None:
    """The ``target_provision_state`` after ``event`` took the node from ``state``.

    The target is dropped on arrival; the new state's own target then applies,
    and one passed with the event wins. Failed states keep what was being sought.
    """
    arrived = STATES[next_state(state, event)]
    if explicit is not None:
        return None if explicit == arrived.name else explicit
    if arrived.kind == STABLE:
        return None
    if event in _CONTINUING and current_target not in (None, arrived.name):
        return current_target
    return arrived.target


def verb_allowed(target: str, state: str) -> bool:
    """Whether the operator's verb ``target`` is possible for a node in ``state``."""
    verb = VERBS[target]
    return state not in verb.never_from and has_event(state, verb.event)


def verbs_from(state: str) -> list[str]:
    """The operator's verbs that ``state`` takes, for error messages and documents."""
    return [target for target in VERBS if verb_allowed(target, state)]


def is_resting(state: str) -> bool:
    """True when nothing is going on: no worker, no ramdisk, no hold."""
    return STATES[state].kind in (STABLE, FAILED)


def markdown() -> str:
    """The table and a Mermaid picture of it, for ``docs/states.md``."""
    lines = [
        "# The life of a node",
        "",
        "Generated from `drophammer/states.py` by `make docs`; do not edit.",
        "",
        "| state | kind | heads for | meaning | verbs |",
        "|---|---|---|---|---|",
    ]
    for state in STATES.values():
        verbs = ", ".join(f"`{verb}`" for verb in verbs_from(state.name)) or "-"
        lines.append(
            f"| `{state.name}` | {state.kind} | {state.target or '-'} | {state.meaning} | {verbs} |"
        )
    lines += ["", "```mermaid", "stateDiagram-v2"]
    identifier = {name: name.replace(" ", "_").replace("-", "_") for name in STATES}
    lines += [f'    state "{name}" as {identifier[name]}' for name in STATES]
    lines += [f"    {identifier[a]} --> {identifier[b]}: {event}" for a, event, b in TRANSITIONS]
    lines += ["```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
