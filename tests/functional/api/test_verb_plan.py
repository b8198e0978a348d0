"""The plan of a verb on the wire: what the API adds to the conductor's answer."""

from __future__ import annotations

import pytest

from tests.functional.api.world import PLAN

STEP = {"interface": "deploy", "step": "erase_devices", "args": {}, "order": 1}


@pytest.fixture
def node(api, conductor):
    conductor.answers["plan"] = PLAN
    return api.node(name="rack-1")


def test_a_plan_shows_steps_losses_durations_and_refusals_and_no_secret(
    api, node, conductor
) -> None:
    answer = api.get("/v1/nodes/rack-1/plan?target=provide")
    assert answer.status_code == 200
    found = answer.json
    assert (found["node"], found["target"], found["possible"]) == (node["uuid"], "provide", False)
    assert found["refusals"] == [{"reason": "state", "message": "not from here"}]
    assert found["destroys"] == ["all disks"]
    (step,) = found["steps"]
    assert step["args"] == {"password": "******"}
    assert (step["last_seconds"], step["mean_seconds"], step["runs"]) == (1.5, 2.0, 2)
    assert conductor.next() == ("plan", {"node_id": 1, "target": "provide", "request": {}})


def test_a_plan_is_possible_when_nothing_refuses_it(api, node, conductor) -> None:
    conductor.answers["plan"] = {**PLAN, "refusals": []}
    assert api.get("/v1/nodes/rack-1/plan?target=provide").json["possible"] is True


@pytest.mark.parametrize("query", ["", "?target=", "?target=fly", "?colour=red&target=provide"])
def test_a_plan_needs_a_verb(api, node, query) -> None:
    assert api.get(f"/v1/nodes/rack-1/plan{query}").status_code == 400


def test_a_runbook_stands_for_its_steps_and_must_be_meant_for_the_node(
    api, node, conductor
) -> None:
    conductor.answers["plan"] = {**PLAN, "refusals": []}
    book = api.post("/v1/runbooks", {"name": "CUSTOM_WIPE", "steps": [STEP]}).json
    found = api.get("/v1/nodes/rack-1/plan?target=clean&runbook=CUSTOM_WIPE").json
    assert [refusal["reason"] for refusal in found["refusals"]] == ["runbook"]
    assert not found["possible"]
    _, asked = conductor.next()
    assert asked["request"]["runbook"] == book["uuid"]
    assert asked["request"]["runbook_name"] == "CUSTOM_WIPE"
    assert [step["step"] for step in asked["request"]["clean_steps"]] == ["erase_devices"]
    api.put("/v1/runbooks/CUSTOM_WIPE/traits/CUSTOM_A")
    api.put("/v1/nodes/rack-1/traits/CUSTOM_A")
    found = api.get("/v1/nodes/rack-1/plan?target=clean&runbook=CUSTOM_WIPE").json
    assert found["refusals"] == []


def test_a_runbook_that_is_not_there_or_cannot_go_with_the_verb_is_refused(api, node) -> None:
    path = "/v1/nodes/rack-1/plan?target="
    assert api.get(f"{path}clean&runbook=CUSTOM_NONE").status_code == 404
    assert api.get(f"{path}active&runbook=CUSTOM_NONE").status_code == 400
    assert api.at("1.91").get(f"{path}clean&runbook=CUSTOM_NONE").status_code == 406


def test_without_a_conductor_there_is_no_plan(api, node, bus) -> None:
    bus.close()
    assert api.get("/v1/nodes/rack-1/plan?target=provide").status_code == 503
