"""The resource chassis."""

from __future__ import annotations

import pytest

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"


@pytest.fixture
def chassis(api):
    answer = api.post("/v1/chassis", {"description": "rack 7", "extra": {"row": 3}})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_new_chassis_is_shown_as_it_was_given(api, chassis) -> None:
    assert (chassis["description"], chassis["extra"]) == ("rack 7", {"row": 3})
    assert chassis["nodes"][0][0]["href"].endswith(f"/v1/chassis/{chassis['uuid']}/nodes")
    assert api.get(f"/v1/chassis/{chassis['uuid']}").json == chassis
    listed = api.get("/v1/chassis").json["chassis"]
    assert [(set(one), one["uuid"]) for one in listed] == [
        ({"uuid", "description", "links"}, chassis["uuid"])
    ]
    assert api.get("/v1/chassis/detail").json["chassis"] == [chassis]


def test_a_chassis_may_be_created_empty(api) -> None:
    assert api.post("/v1/chassis", {}).json["extra"] == {}


@pytest.mark.parametrize(
    "body", [None, [], {"description": "x" * 256}, {"uuid": "x"}, {"extra": 1}, {"nodes": []}]
)
def test_a_wrong_body_is_400(api, body) -> None:
    assert api.post("/v1/chassis", body).status_code == 400


def test_a_patch_changes_what_it_says(api, chassis) -> None:
    path = f"/v1/chassis/{chassis['uuid']}"
    steps = [
        {"op": "remove", "path": "/description"},
        {"op": "add", "path": "/extra/colour", "value": "red"},
    ]
    answer = api.patch(path, steps)
    assert answer.status_code == 200
    assert answer.json["description"] is None
    assert api.get(path).json["extra"] == {"row": 3, "colour": "red"}
    assert api.patch(path, [{"op": "add", "path": "/uuid", "value": SOME_UUID}]).status_code == 400


def test_a_node_is_in_a_chassis_that_exists(api, chassis) -> None:
    wrong = api.post("/v1/nodes", {"driver": "fake-hardware", "chassis_uuid": SOME_UUID})
    assert wrong.status_code == 400
    assert "Chassis" in api.fault(wrong)
    node = api.node(chassis_uuid=chassis["uuid"])
    api.node()
    assert node["chassis_uuid"] == chassis["uuid"]
    for path in (f"chassis/{chassis['uuid']}/nodes", f"nodes?chassis_uuid={chassis['uuid']}"):
        assert [one["uuid"] for one in api.get(f"/v1/{path}").json["nodes"]] == [node["uuid"]]
    full = api.get(f"/v1/chassis/{chassis['uuid']}/nodes/detail").json["nodes"]
    assert full[0]["driver"] == "fake-hardware"
    assert api.get(f"/v1/nodes?chassis_uuid={SOME_UUID}").status_code == 404


def test_a_chassis_with_nodes_stays(api, chassis) -> None:
    node = api.node(chassis_uuid=chassis["uuid"])
    refused = api.delete(f"/v1/chassis/{chassis['uuid']}")
    assert refused.status_code == 400
    assert "not empty" in api.fault(refused)
    removal = [{"op": "remove", "path": "/chassis_uuid"}]
    assert api.patch(f"/v1/nodes/{node['uuid']}", removal).json["chassis_uuid"] is None
    assert api.delete(f"/v1/chassis/{chassis['uuid']}").status_code == 204
    assert api.get(f"/v1/chassis/{chassis['uuid']}").status_code == 404


def test_the_same_uuid_twice_is_409(api, chassis) -> None:
    assert api.post("/v1/chassis", {"uuid": chassis["uuid"]}).status_code == 409
