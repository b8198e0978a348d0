"""The resource port groups."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from drophammer.model import Portgroup

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"
MAC = "52:54:00:12:34:56"
OTHER_MAC = "52:54:00:65:43:21"


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


@pytest.fixture
def group(api, node):
    body = {"node_uuid": node["uuid"], "address": MAC.upper(), "name": "bond0"}
    answer = api.post("/v1/portgroups", body)
    assert answer.status_code == 201, answer.text
    return answer.json


def replaced(path, value):
    return [{"op": "replace", "path": path, "value": value}]


def test_a_new_group_has_its_defaults_and_is_shown_by_uuid_and_name(api, node, group) -> None:
    assert (group["address"], group["mode"], group["node_uuid"]) == (
        MAC,
        "active-backup",
        node["uuid"],
    )
    assert (group["standalone_ports_supported"], group["dynamic_portgroup"]) == (True, False)
    assert group["ports"][0]["href"].endswith(f"/v1/portgroups/{group['uuid']}/ports")
    for ident in (group["uuid"], "bond0"):
        assert api.get(f"/v1/portgroups/{ident}").json == group
    assert api.get("/v1/portgroups/detail").json["portgroups"] == [group]
    (brief,) = api.get("/v1/portgroups").json["portgroups"]
    assert set(brief) == {"uuid", "address", "name", "links"}


def test_nulls_in_a_new_group_stand_for_defaults(api, node) -> None:
    body = {"node_uuid": node["uuid"], "mode": None, "extra": None, "address": None}
    made = api.post("/v1/portgroups", body).json
    assert (made["mode"], made["extra"], made["address"]) == ("active-backup", {}, None)


@pytest.mark.parametrize(
    ("version", "path", "status"),
    [
        ("1.22", "/v1/portgroups", 404),
        ("1.23", "/v1/portgroups", 200),
        ("1.42", "/v1/portgroups?detail=true", 400),
        ("1.105", "/v1/portgroups?shard=a", 406),
        ("1.98", "/v1/portgroups?conductor_groups=a", 406),
        ("1.25", "/v1/portgroups?fields=mode", 406),
        ("1.23", "/v1/nodes/rack-1/portgroups", 404),
        ("1.24", "/v1/nodes/rack-1/portgroups", 200),
        ("1.23", "/v1/portgroups/bond0/ports", 404),
        ("1.24", "/v1/portgroups/bond0/ports", 200),
        ("1.115", "/v1/portgroups?colour=red", 400),
        ("1.115", "/v1/portgroups?sort_key=extra", 400),
    ],
)
def test_what_a_version_has(api, group, version, path, status) -> None:
    assert api.at(version).get(path).status_code == status


def test_fields_come_with_their_versions(api, group) -> None:
    old = api.at("1.23").get(f"/v1/portgroups/{group['uuid']}").json
    assert set(group) - set(old) == {
        "mode",
        "properties",
        "physical_network",
        "category",
        "dynamic_portgroup",
    }
    body = {"node_uuid": group["node_uuid"], "mode": "802.3ad"}
    assert api.at("1.25").post("/v1/portgroups", body).status_code == 406


@pytest.mark.parametrize(
    "fields",
    [
        {"node_uuid": SOME_UUID},
        {"node_uuid": "rack-1"},
        {"address": "x"},
        {"name": "a b"},
        {"name": SOME_UUID},
        {"mode": ""},
        {"properties": []},
        {"colour": "red"},
        {"dynamic_portgroup": True},
    ],
)
def test_a_wrong_group_is_400(api, node, fields) -> None:
    body = {"node_uuid": node["uuid"], **fields}
    assert api.post("/v1/portgroups", body).status_code == 400


def test_a_group_needs_a_node(api) -> None:
    assert "node_uuid" in api.fault(api.post("/v1/portgroups", {"name": "bond0"}))


@pytest.mark.parametrize("key", ["uuid", "name", "address"])
def test_what_is_in_use_is_409(api, group, key) -> None:
    answer = api.post("/v1/portgroups", {"node_uuid": group["node_uuid"], key: group[key]})
    assert answer.status_code == 409
    assert group[key] in api.fault(answer)


def test_lists_are_narrowed_sorted_and_paged(api, node, group) -> None:
    far = api.node(name="rack-2", shard="s1")
    api.set(far["uuid"], conductor_group="g1")
    body = {"node_uuid": far["uuid"], "name": "bond1"}
    other = api.post("/v1/portgroups", body).json

    def found(query, path="portgroups"):
        return [one["uuid"] for one in api.get(f"/v1/{path}?{query}").json["portgroups"]]

    assert found("node=rack-1") == found("", "nodes/rack-1/portgroups") == [group["uuid"]]
    assert found(f"address={MAC}") == [group["uuid"]]
    assert found("shard=s1,s2") == found("conductor_groups=g1") == [other["uuid"]]
    assert found("sort_key=name&sort_dir=desc") == [other["uuid"], group["uuid"]]
    page = api.get("/v1/portgroups?limit=1&node=rack-2").json
    assert f"marker={other['uuid']}" in page["next"]
    assert "node=rack-2" in page["next"]
    assert api.get("/v1/portgroups?node=nobody").status_code == 404


def test_ports_of_a_group_are_listed_and_keep_it(api, node, group) -> None:
    body = {"node_uuid": node["uuid"], "address": OTHER_MAC, "portgroup_uuid": group["uuid"]}
    port = api.post("/v1/ports", body).json
    assert port["portgroup_uuid"] == group["uuid"]
    for path in ("ports", "ports/detail"):
        (listed,) = api.get(f"/v1/portgroups/bond0/{path}").json["ports"]
        assert listed["uuid"] == port["uuid"]
    refused = api.delete("/v1/portgroups/bond0")
    assert refused.status_code == 400
    assert "not empty" in api.fault(refused)
    other = api.node()
    moved = api.patch("/v1/portgroups/bond0", replaced("/node_uuid", other["uuid"]))
    assert moved.status_code == 400
    assert api.delete(f"/v1/ports/{port['uuid']}").status_code == 204
    assert api.delete("/v1/portgroups/bond0").status_code == 204
    assert api.get("/v1/portgroups/bond0").status_code == 404


def test_a_group_is_patched_and_moved(api, group) -> None:
    other = api.node()
    steps = [
        {"op": "add", "path": "/extra/a", "value": 1},
        {"op": "replace", "path": "/mode", "value": "802.3ad"},
        {"op": "replace", "path": "/standalone_ports_supported", "value": "False"},
        {"op": "add", "path": "/properties/miimon", "value": "100"},
        {"op": "remove", "path": "/address"},
        {"op": "replace", "path": "/node_uuid", "value": other["uuid"]},
    ]
    answer = api.patch("/v1/portgroups/bond0", steps)
    assert answer.status_code == 200, answer.text
    changed = answer.json
    assert (changed["extra"], changed["mode"], changed["address"]) == ({"a": 1}, "802.3ad", None)
    assert (changed["standalone_ports_supported"], changed["node_uuid"]) == (False, other["uuid"])
    assert api.get("/v1/portgroups/bond0").json == changed


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/node_uuid", "value": SOME_UUID},
        {"op": "remove", "path": "/node_uuid"},
        {"op": "replace", "path": "/mode", "value": None},
        {"op": "replace", "path": "/uuid", "value": SOME_UUID},
        {"op": "replace", "path": "/internal_info", "value": {}},
        {"op": "replace", "path": "/name", "value": "a b"},
    ],
)
def test_a_wrong_change_is_400(api, group, step) -> None:
    assert api.patch("/v1/portgroups/bond0", [step]).status_code == 400


def test_groups_of_a_held_or_inspected_node_stay_as_they_are(api, node, group) -> None:
    api.set(node["uuid"], provision_state="inspecting")
    assert api.patch("/v1/portgroups/bond0", replaced("/extra", {})).status_code == 409
    assert api.at("1.38").patch("/v1/portgroups/bond0", replaced("/extra", {})).status_code == 200
    api.set(node["uuid"], provision_state="manageable")
    free = api.node()
    api.lease(free["uuid"])
    to_held = api.patch("/v1/portgroups/bond0", replaced("/node_uuid", free["uuid"]))
    assert to_held.status_code == 409
    api.lease(node["uuid"])
    patched = api.patch("/v1/portgroups/bond0", replaced("/extra", {"a": 1}))
    assert (patched.status_code, api.delete("/v1/portgroups/bond0").status_code) == (409, 409)


def test_a_port_moves_to_another_node_unless_its_group_stays(api, node, group) -> None:
    body = {"node_uuid": node["uuid"], "address": OTHER_MAC, "portgroup_uuid": group["uuid"]}
    path = f"/v1/ports/{api.post('/v1/ports', body).json['uuid']}"
    other = api.node()
    move = replaced("/node_uuid", other["uuid"])
    assert api.patch(path, move).status_code == 400
    leave = [{"op": "remove", "path": "/portgroup_uuid"}]
    api.set(other["uuid"], provision_state="active")
    assert api.patch(path, [*move, *leave]).status_code == 409
    api.set(other["uuid"], provision_state="manageable")
    moved = api.patch(path, [*move, *leave]).json
    assert (moved["node_uuid"], moved["portgroup_uuid"]) == (other["uuid"], None)
    assert api.get(path).json == moved


def test_groups_cost_at_most_three_statements(api, node, sql) -> None:
    bodies = [{"node_uuid": node["uuid"], "name": f"bond{n}"} for n in range(5)]
    for body in bodies:
        sql.clear()
        assert api.post("/v1/portgroups", body).status_code == 201
        assert (sql.count <= 3, sql.commits) == (True, 1)
    sql.clear()
    assert len(api.get(f"/v1/portgroups/detail?node={node['uuid']}").json["portgroups"]) == 5
    assert sql.count <= 3
    sql.clear()
    assert api.patch("/v1/portgroups/bond0", replaced("/extra", {"a": 1})).status_code == 200
    assert (sql.count <= 3, sql.commits) == (True, 1)


def test_a_group_with_a_vif_stays_with_its_node(api, group, store) -> None:
    other = api.node()
    with store.write() as session:
        session.execute(update(Portgroup).values(internal_info={"tenant_vif_port_id": "vif-1"}))
    path = f"/v1/portgroups/{group['uuid']}"
    for answer in (api.patch(path, replaced("/node_uuid", other["uuid"])), api.delete(path)):
        assert answer.status_code == 409
        assert "VIF" in api.fault(answer)
