"""The state machine against the facts of the wire (30 states, 93 transitions, 15 verbs)."""

from __future__ import annotations

import pytest

from drophammer import states
from drophammer.errors import InvalidState

# Which verbs an operator may use where, as the reference's clients know it.
ALLOWED = {
    "manage": "enroll, available, inspect failed, clean failed, adopt failed",
    "inspect": "manageable, inspect failed",
    "provide": "manageable",
    "active": "available, deploy failed",
    "deploy": "available, deploy failed",
    "rebuild": "active, error, deploy failed",
    "deleted": "active, error, wait call-back, deploy failed, rescue, rescue wait, rescue failed, "
    "unrescue failed, service wait, service failed",
    "undeploy": "active, error, wait call-back, deploy failed, rescue, rescue wait, "
    "rescue failed, unrescue failed, service wait, service failed",
    "clean": "manageable",
    "adopt": "manageable, adopt failed",
    "rescue": "active, rescue, rescue failed, unrescue failed, service failed",
    "unrescue": "rescue, rescue failed, unrescue failed",
    "service": "active, service failed, service hold",
    "unhold": "clean hold, deploy hold, service hold",
    "abort": "clean wait, clean hold, rescue wait, service wait, service hold, service failed, "
    "deploy hold, inspect wait, wait call-back",
}


def test_the_table_has_the_size_of_the_contract() -> None:
    assert len(states.STATES) == 30
    assert len(set(states.TRANSITIONS)) == len(states.TRANSITIONS) == 93
    assert len(states.VERBS) == 15


@pytest.mark.parametrize("verb", list(ALLOWED))
def test_a_verb_is_possible_exactly_where_the_contract_says(verb: str) -> None:
    allowed = {state for state in states.STATES if states.verb_allowed(verb, state)}
    assert allowed == set(ALLOWED[verb].split(", "))


@pytest.mark.parametrize("state", list(states.STATES))
def test_every_event_not_in_the_table_is_refused(state: str) -> None:
    events = {event for _, event, _ in states.TRANSITIONS}
    possible = {event for start, event, _ in states.TRANSITIONS if start == state}
    for event in events - possible:
        with pytest.raises(InvalidState, match=state):
            states.next_state(state, event)
    for start, event, end in states.TRANSITIONS:
        if start == state:
            assert states.next_state(state, event) == end


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(InvalidState):
        states.next_state("limbo", "manage")


@pytest.mark.parametrize("state", [s for s in states.STATES.values() if s.kind == states.STABLE])
def test_every_state_can_be_left(state: states.State) -> None:
    assert any(start == state.name for start, _, _ in states.TRANSITIONS)


@pytest.mark.parametrize(
    ("state", "event", "target", "after"),
    [
        ("enroll", "manage", None, "manageable"),
        ("verifying", "done", "manageable", None),
        ("verifying", "fail", "manageable", None),
        ("available", "deploy", None, "active"),
        ("deploying", "wait", "active", "active"),
        ("wait call-back", "fail", "active", "active"),
        ("wait call-back", "delete", "active", "available"),
        ("cleaning", "wait", "manageable", "manageable"),
        ("cleaning", "fail", "available", "available"),
        ("clean failed", "manage", "available", None),
        ("deleting", "clean", "available", "available"),
        ("deleting", "fail", "available", "available"),
        ("service failed", "abort", "active", None),
    ],
)
def test_the_target_follows_the_rules(
    state: str, event: str, target: str | None, after: str | None
) -> None:
    assert states.next_target(state, event, target) == after


def test_an_explicit_target_wins() -> None:
    assert states.next_target("manageable", "clean", None, "manageable") == "manageable"


def test_the_picture_names_every_transition() -> None:
    text = states.markdown()
    assert text.count(" --> ") == 93
    assert all(f"`{state}`" in text for state in states.STATES)
