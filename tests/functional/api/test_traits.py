"""Traits of nodes."""

from __future__ import annotations

import pytest

PATH = "/v1/nodes/rack-1/traits"


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


def traits(api):
    return api.get(PATH).json["traits"]


def test_traits_are_replaced_shown_and_cleared(api, node) -> None:
    assert traits(api) == []
    answer = api.put(PATH, {"traits": ["HW_CPU_X86_VMX", "CUSTOM_B", "CUSTOM_B", "CUSTOM_A"]})
    assert (answer.status_code, answer.data) == (204, b"")
    assert traits(api) == ["CUSTOM_A", "CUSTOM_B", "HW_CPU_X86_VMX"]
    assert api.get("/v1/nodes/rack-1").json["traits"] == traits(api)
    listed = api.get("/v1/nodes?fields=traits").json["nodes"]
    assert [one["traits"] for one in listed] == [traits(api)]
    assert api.put(PATH, {"traits": ["CUSTOM_C"]}).status_code == 204
    assert traits(api) == ["CUSTOM_C"]
    assert api.delete(PATH).status_code == 204
    assert traits(api) == []


def test_one_trait_is_added_and_removed(api, node) -> None:
    for _ in range(2):
        answer = api.put(f"{PATH}/CUSTOM_A")
        assert answer.status_code == 204
        assert answer.headers["Location"].endswith(f"{PATH}/CUSTOM_A")
    assert traits(api) == ["CUSTOM_A"]
    assert api.delete(f"{PATH}/CUSTOM_A").status_code == 204
    refused = api.delete(f"{PATH}/CUSTOM_A")
    assert refused.status_code == 404
    assert "CUSTOM_A" in api.fault(refused)


@pytest.mark.parametrize(
    "trait", ["custom_a", "CUSTOM_", "CUSTOM_ä", "HW_NOTHING", "A,B", "CUSTOM_" + "A" * 249]
)
def test_what_is_no_trait_is_refused(api, node, trait) -> None:
    assert api.put(PATH, {"traits": [trait]}).status_code == 400
    assert api.put(f"{PATH}/{trait}").status_code == 400
    assert traits(api) == []


@pytest.mark.parametrize("body", [None, [], {}, {"traits": "CUSTOM_A"}, {"traits": [1]}, {"x": 1}])
def test_a_wrong_body_is_refused(api, node, body) -> None:
    assert api.put(PATH, body).status_code == 400


def test_a_body_with_a_single_trait_is_refused(api, node) -> None:
    assert api.put(f"{PATH}/CUSTOM_A", {"traits": ["CUSTOM_B"]}).status_code == 400
    assert api.put(f"{PATH}/CUSTOM_A", "null").status_code == 204


def test_a_node_has_at_most_fifty(api, node) -> None:
    many = [f"CUSTOM_{number}" for number in range(50)]
    assert api.put(PATH, {"traits": many}).status_code == 204
    assert api.put(f"{PATH}/CUSTOM_7").status_code == 204
    assert api.put(f"{PATH}/CUSTOM_50").status_code == 400
    assert api.put(PATH, {"traits": [*many, "CUSTOM_50"]}).status_code == 400
    assert len(traits(api)) == 50


def test_traits_change_when_nobody_holds_the_node(api, node) -> None:
    api.put(PATH, {"traits": ["CUSTOM_A"]})
    api.lease(node["uuid"])
    for method, path, body in (
        ("PUT", PATH, {"traits": []}),
        ("PUT", f"{PATH}/CUSTOM_B", None),
        ("DELETE", PATH, None),
        ("DELETE", f"{PATH}/CUSTOM_A", None),
    ):
        refused = api.call(method, path, body)
        assert refused.status_code == 409
        assert "is locked by host" in api.fault(refused)
    assert traits(api) == ["CUSTOM_A"]


def test_an_old_version_has_no_traits(api, node) -> None:
    assert api.at("1.36").get(PATH).status_code == 404
    assert "traits" not in api.at("1.36").get("/v1/nodes/rack-1").json
    assert api.at("1.36").get("/v1/nodes?fields=traits").status_code == 406


def test_traits_go_with_their_node(api, node) -> None:
    api.put(PATH, {"traits": ["CUSTOM_A"]})
    assert api.delete("/v1/nodes/rack-1").status_code == 204
    api.node(name="rack-1")
    assert traits(api) == []


def test_reading_costs_two_statements_and_replacing_one_commit(api, node, sql) -> None:
    sql.clear()
    assert (
        api.put(PATH, {"traits": [f"CUSTOM_{number}" for number in range(50)]}).status_code == 204
    )
    assert (sql.count, sql.commits) == (3, 1)
    sql.clear()
    assert len(traits(api)) == 50
    assert sql.count <= 2


@pytest.mark.parametrize(
    ("method", "path", "body", "who"),
    [
        ("PUT", PATH, {}, "A node"),
        ("PUT", "/v1/runbooks/CUSTOM_R/traits", {}, "A runbook"),
        ("POST", "/v1/allocations", {"resource_class": "big"}, "An allocation"),
    ],
)
def test_too_many_traits_are_told_of_what_was_to_have_them(
    api, node, method, path, body, who
) -> None:
    step = {"interface": "deploy", "step": "erase_devices", "args": {}, "order": 1}
    assert api.post("/v1/runbooks", {"name": "CUSTOM_R", "steps": [step]}).status_code == 201
    many = [f"CUSTOM_{number}" for number in range(51)]
    refused = api.call(method, path, {**body, "traits": many})
    assert refused.status_code == 400
    assert api.fault(refused) == f"{who} can have at most 50 traits; these are 51."
