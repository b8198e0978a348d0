"""Every verb in every state on fake hardware: where it leads, or that it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from drophammer import states
from drophammer.errors import InvalidState
from drophammer.model import Event, Port, new_uuid
from tests.functional.conductor.conftest import Netboot

# Where each verb is possible, and to which state it leads at once (the wire's facts).
TABLE = {
    "manage": "enroll>verifying, available>manageable, clean failed>manageable, "
    "inspect failed>manageable, adopt failed>manageable",
    "provide": "manageable>cleaning",
    "inspect": "manageable>inspecting, inspect failed>inspecting",
    "active": "available>deploying, deploy failed>deploying",
    "deploy": "available>deploying, deploy failed>deploying",
    "rebuild": "active>deploying, error>deploying, deploy failed>deploying",
    "deleted": "active>deleting, error>deleting, rescue>deleting, wait call-back>deleting, "
    "deploy failed>deleting, rescue wait>deleting, rescue failed>deleting, "
    "unrescue failed>deleting, service wait>deleting, service failed>deleting",
    "undeploy": "active>deleting, error>deleting, rescue>deleting, wait call-back>deleting, "
    "deploy failed>deleting, rescue wait>deleting, rescue failed>deleting, "
    "unrescue failed>deleting, service wait>deleting, service failed>deleting",
    "clean": "manageable>cleaning",
    "abort": "wait call-back>deploy failed, deploy hold>deploy failed, clean wait>clean failed, "
    "clean hold>clean failed, inspect wait>inspect failed, rescue wait>rescue failed, "
    "service wait>servicing, service hold>service wait, service failed>active",
    "adopt": "manageable>adopting, adopt failed>adopting",
    "rescue": "active>rescuing, rescue>rescuing, rescue failed>rescuing, "
    "unrescue failed>rescuing, service failed>rescuing",
    "unrescue": "rescue>unrescuing, rescue failed>unrescuing, unrescue failed>unrescuing",
    "unhold": "deploy hold>wait call-back, clean hold>clean wait, service hold>service wait",
    "service": "active>servicing, service failed>servicing, service hold>servicing",
}
# Where the work ends that a verb begins. Undone work fails, but for a service: the wire has
# it "service failed" on its way to "active", where we bring the deployed system back first.
END = {
    "manage": "manageable",
    "provide": "available",
    "inspect": "manageable",
    "active": "active",
    "deploy": "active",
    "rebuild": "active",
    "deleted": "available",
    "undeploy": "available",
    "clean": "manageable",
    "adopt": "active",
    "rescue": "rescue",
    "unrescue": "active",
    "service": "active",
}
END_OF = {
    ("abort", "wait call-back"): "deploy failed",
    ("abort", "deploy hold"): "deploy failed",
    ("abort", "clean wait"): "clean failed",
    ("abort", "clean hold"): "clean failed",
    ("abort", "inspect wait"): "inspect failed",
    ("abort", "rescue wait"): "rescue failed",
    ("abort", "service wait"): "active",
    ("abort", "service hold"): "active",
    ("abort", "service failed"): "active",
    ("unhold", "deploy hold"): "active",
    ("unhold", "clean hold"): "manageable",
    ("unhold", "service hold"): "active",
}
WAIT, HOLD = ({"interface": "power", "step": name, "args": {}} for name in ("wait", "hold"))
FILES = {"deploy_kernel": "http://127.0.0.1/k", "deploy_ramdisk": "http://127.0.0.1/r"}
REQUESTS: dict[str, dict[str, Any]] = {
    "clean": {"clean_steps": [{"interface": "power", "step": "power_on"}]},
    "service": {"service_steps": [{"interface": "power", "step": "power_on"}]},
    "rescue": {"rescue_password": "long enough"},
}
# How a node really comes to states in which it is in the middle of something.
ON_THE_WAY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "clean wait": ("manageable", "clean", {"clean_steps": [WAIT]}),
    "clean hold": ("manageable", "clean", {"clean_steps": [HOLD]}),
    "wait call-back": ("available", "active", {"deploy_steps": [{**WAIT, "priority": 110}]}),
    "deploy hold": ("available", "active", {"deploy_steps": [{**HOLD, "priority": 110}]}),
    "service wait": ("active", "service", {"service_steps": [WAIT]}),
    "service hold": ("active", "service", {"service_steps": [HOLD]}),
    "inspect wait": ("manageable", "inspect", {}),
    "rescue wait": ("active", "rescue", REQUESTS["rescue"]),
}


def allowed(verb: str) -> dict[str, str]:
    cells = (cell.partition(">") for cell in TABLE[verb].split(", "))
    return {start: end for start, _, end in cells}


def node_in(scene: Any, state: str) -> int:
    """A node that is in ``state``, by the way that leads there."""
    if state not in ON_THE_WAY:
        return int(scene.node(state))
    start, verb, request = ON_THE_WAY[state]
    booted = {"boot_interface": "ipxe", "inspect_interface": "agent", "rescue_interface": "agent"}
    node_id = scene.node(start, **(booted if state in ("inspect wait", "rescue wait") else {}))
    with scene.store.write() as session:
        address = f"52:54:00:00:00:{node_id:02x}"
        now = scene.store.clock.now()
        session.add(Port(uuid=new_uuid(), node_id=node_id, address=address, created_at=now))
    scene.provision(node_id, verb, **request)
    scene.until_state(node_id, state)
    return int(node_id)


def changes(scene: Any, node_id: int) -> list[str]:
    with scene.store.read() as session:
        query = select(Event.message).where(Event.node_id == node_id, Event.kind == "state")
        return list(session.scalars(query.order_by(Event.id)))


@pytest.mark.parametrize("verb", list(TABLE))
def test_a_verb_leads_where_the_table_says(scene: Any, verb: str) -> None:
    scene.bus.serve("netboot", Netboot(), "test")
    scene.start(**FILES)
    begun = {}
    for start in allowed(verb):
        node_id = node_in(scene, start)
        begun[start] = node_id, len(changes(scene, node_id))
        scene.provision(node_id, verb, **REQUESTS.get(verb, {}))
    for start, (node_id, before) in begun.items():
        end = END.get(verb) or END_OF[verb, start]
        node = scene.until(
            node_id, lambda n, end=end: n.provision_state == end and n.operation_id is None
        )
        told = changes(scene, node_id)[before:]
        assert told[0] == f"{start} -> {allowed(verb)[start]}"
        assert told[-1].endswith(f"-> {end}")
        for old, new in (change.split(" -> ") for change in told):
            assert (old, new) in {(a, b) for a, _, b in states.TRANSITIONS}
        assert node.deadline is None
        assert (node.clean_step, node.deploy_step, node.service_step) == ({}, {}, {})
        aborted = verb == "abort" and start != "service failed"
        assert ("Aborted" in (node.last_error or "")) == aborted
        assert not node.maintenance


@pytest.mark.timeout(600)  # Hundreds of requests, which are work and not waiting.
def test_a_verb_is_refused_everywhere_else_with_a_sentence(scene: Any) -> None:
    scene.start(**FILES)
    nodes = {state: scene.node(state) for state in states.STATES}
    for verb in TABLE:
        for state in set(nodes) - set(allowed(verb)):
            with pytest.raises(InvalidState) as refused:
                scene.provision(nodes[state], verb, **REQUESTS.get(verb, {}))
            assert f'"{verb}" can not be performed' in refused.value.message
            assert f'"{state}"' in refused.value.message
            assert "Possible from here: " in refused.value.message
    for state, node_id in nodes.items():
        node = scene.get(node_id)
        assert (node.provision_state, node.operation_id, node.lease_owner) == (state, None, None)
        assert changes(scene, node_id) == []
