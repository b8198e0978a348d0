"""Runbooks as sources of steps: ``runbook`` in a provision request."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from drophammer.model import Runbook, new_uuid

TRAIT = "CUSTOM_GEN10"
STEPS = [
    {"interface": "raid", "step": "create_configuration", "order": 20},
    {"interface": "bios", "step": "factory_reset", "order": 3, "args": {"a": 1}},
]


@pytest.fixture
def node(api):
    made = api.node(name="rack-1")
    assert api.put("/v1/nodes/rack-1/traits", {"traits": [TRAIT]}).status_code == 204
    return made


@pytest.fixture
def runbook(store):
    def make(**columns):
        values = {"uuid": new_uuid(), "name": "reset-all", "steps": STEPS, "traits": [TRAIT]}
        with store.write() as session:
            made = {**values, **columns, "created_at": store.clock.now()}
            session.execute(insert(Runbook).values(**made))
        return made

    return make


def ask(api, target, ident, **body):
    body = {"target": target, "runbook": ident, **body}
    return api.put("/v1/nodes/rack-1/states/provision", body)


@pytest.mark.parametrize(
    ("target", "state", "key"),
    [("clean", "manageable", "clean_steps"), ("service", "active", "service_steps")],
)
@pytest.mark.parametrize("by", ["name", "uuid"])
def test_a_runbook_becomes_its_steps_in_order(
    api, node, runbook, conductor, target, state, key, by
) -> None:
    made = runbook(disable_ramdisk=True)
    api.set(node["uuid"], provision_state=state)
    assert ask(api, target, made[by]).status_code == 202
    request = conductor.next()[1]["request"]
    assert [step["order"] for step in request[key]] == [3, 20]
    assert request[key][0] == STEPS[1]
    assert (request["disable_ramdisk"], request["runbook"]) == (True, made["uuid"])


def test_the_request_may_do_without_the_ramdisk_on_its_own(api, node, runbook, conductor) -> None:
    runbook()
    api.set(node["uuid"], provision_state="manageable")
    assert ask(api, "clean", "reset-all", disable_ramdisk=True).status_code == 202
    assert conductor.next()[1]["request"]["disable_ramdisk"] is True
    assert ask(api, "clean", "reset-all").status_code == 202
    assert conductor.next()[1]["request"]["disable_ramdisk"] is False


@pytest.mark.parametrize("traits", [[], ["CUSTOM_OTHER"]])
def test_a_node_without_any_of_its_traits_is_not_touched(
    api, node, runbook, conductor, traits
) -> None:
    runbook(traits=traits)
    api.set(node["uuid"], provision_state="manageable")
    refused = ask(api, "clean", "reset-all")
    assert refused.status_code == 400
    assert "traits" in api.fault(refused)
    assert conductor.nothing_came()


def test_a_runbook_smuggles_in_no_forbidden_step(api, node, runbook, conductor) -> None:
    runbook(steps=[{"interface": "vendor", "step": "send_raw", "order": 1}])
    api.set(node["uuid"], provision_state="manageable")
    assert ask(api, "clean", "reset-all").status_code == 400
    assert conductor.nothing_came()


def test_an_unknown_runbook_is_not_found(api, node) -> None:
    api.set(node["uuid"], provision_state="manageable")
    refused = ask(api, "clean", "nobody")
    assert refused.status_code == 404
    assert "Runbook nobody could not be found." in api.fault(refused)
