"""What changes on a node when an event takes it along, as columns. Writes nothing itself."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Protocol

from conductor.settings import Settings
from drophammer import states
from drophammer.model import Step

# A worker that is alive renews its lease for ever; a step that hangs is ended by this.
WORKING_SECONDS = 1800.0

# Which column of the node shows the step that runs, by the state the node is in.
_SHOWN_IN = {
    states.CLEANING: "clean_step",
    states.CLEAN_WAIT: "clean_step",
    states.DEPLOYING: "deploy_step",
    states.WAIT_CALL_BACK: "deploy_step",
    states.SERVICING: "service_step",
    states.SERVICE_WAIT: "service_step",
}


class Standing(Protocol):
    """Where a node stands in the state machine: a node, or a ``Place`` on the way."""

    @property
    def provision_state(self) -> str: ...

    @property
    def target_provision_state(self) -> str | None: ...


@dataclass(frozen=True)
class Place:
    """A state that a node passes, and what it seeks there."""

    provision_state: str
    target_provision_state: str | None


def transition(
    node: Standing, event: str, now: datetime.datetime, target: str | None = None
) -> dict[str, Any]:
    """The columns that change when ``event`` takes ``node`` along (contract: fsm, section 3)."""
    state = states.next_state(node.provision_state, event)
    values: dict[str, Any] = {
        "provision_state": state,
        "target_provision_state": states.next_target(
            node.provision_state, event, node.target_provision_state, target
        ),
        "provision_updated_at": now,
    }
    if state == states.INSPECTING and states.is_resting(node.provision_state):
        values |= {"inspection_started_at": now, "inspection_finished_at": None}
    elif state == states.MANAGEABLE and node.provision_state in (
        states.INSPECTING,
        states.INSPECT_WAIT,
    ):
        values |= {"inspection_started_at": None, "inspection_finished_at": now}
    elif state == states.INSPECT_FAILED:
        values["inspection_started_at"] = None
    return values


def deadline(settings: Settings, state: str, now: datetime.datetime) -> datetime.datetime | None:
    """Until when a node may stay in ``state``; None where it may stay, or for a timeout of 0."""
    seconds = {
        states.WAIT_CALL_BACK: settings.deploy_timeout,
        states.CLEAN_WAIT: settings.clean_timeout,
        states.INSPECT_WAIT: settings.inspect_timeout,
        states.RESCUE_WAIT: settings.rescue_timeout,
        states.SERVICE_WAIT: settings.service_timeout,
    }.get(state, WORKING_SECONDS if state in states.WORKING else 0)
    return now + datetime.timedelta(seconds=seconds) if seconds else None


def shown(state: str, step: Step) -> dict[str, Any]:
    """The column in which the node's owner sees ``step`` run; the conductor's own stay unseen."""
    column = _SHOWN_IN.get(state)
    if column is None or step.interface == "conductor":
        return {}
    return {
        column: {
            "interface": step.interface,
            "step": step.step,
            "priority": step.priority,
            "abortable": step.abortable,
            "args": step.args,
        }
    }
