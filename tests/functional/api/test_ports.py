"""The resource ports."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from drophammer.model import Port

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"
MAC = "52:54:00:12:34:56"


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


@pytest.fixture
def port(api, node):
    answer = api.post("/v1/ports", {"node_uuid": node["uuid"], "address": MAC})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_new_port_has_its_defaults_and_tells_netboot(api, node, netboot) -> None:
    body = {"node_uuid": node["uuid"], "address": "52-54-00-AB-CD-EF"}
    answer = api.post("/v1/ports", body)
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/v1/ports/{answer.json['uuid']}")
    assert answer.json["address"] == "52:54:00:ab:cd:ef"
    assert (answer.json["pxe_enabled"], answer.json["is_smartnic"]) == (True, False)
    assert answer.json["node_uuid"] == node["uuid"]
    assert netboot.next() == ("refresh", {})
    assert api.get(f"/v1/ports/{answer.json['uuid']}").json == answer.json


def test_the_node_may_be_named_from_1_94(api, node) -> None:
    body = {"node_ident": "rack-1", "address": MAC}
    assert api.post("/v1/ports", body).json["node_uuid"] == node["uuid"]
    assert api.at("1.93").post("/v1/ports", body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"address": MAC},
        {"address": "x"},
        {"address": "52:54:00:12:34"},
        {"address": 5},
        {"address": MAC, "node_uuid": SOME_UUID},
        {"address": MAC, "node_uuid": "rack-1"},
        {"address": MAC, "node_ident": "rack-1", "portgroup_uuid": SOME_UUID},
        {"address": MAC, "node_ident": "rack-1", "colour": "red"},
        {"address": MAC, "node_ident": "rack-1", "name": "a b"},
        {"address": MAC, "node_ident": "rack-1", "local_link_connection": {"x": 1}},
        {"address": MAC, "node_ident": "rack-1", "physical_network": "x" * 65},
        {"address": MAC, "node_ident": 5},
    ],
)
def test_a_wrong_body_is_400(api, node, body) -> None:
    assert api.post("/v1/ports", body).status_code == 400


def test_a_field_newer_than_the_version_is_406(api, node) -> None:
    body = {"node_uuid": node["uuid"], "address": MAC, "name": "eth0"}
    assert api.at("1.87").post("/v1/ports", body).status_code == 406


@pytest.mark.parametrize("field", ["address", "name", "uuid"])
def test_what_is_unique_is_409_the_second_time(api, node, field) -> None:
    first = {"address": MAC, "name": "eth0", "uuid": SOME_UUID}
    assert api.post("/v1/ports", {"node_uuid": node["uuid"], **first}).status_code == 201
    other = {"address": "52:54:00:00:00:01", field: first[field]}
    answer = api.post("/v1/ports", {"node_uuid": node["uuid"], **other})
    assert answer.status_code == 409
    assert first[field] in api.fault(answer)


def test_ports_are_listed_briefly_or_in_detail(api, node, port) -> None:
    assert set(api.get("/v1/ports").json["ports"][0]) == {"uuid", "address", "links"}
    assert api.get("/v1/ports/detail").json["ports"] == [port]
    assert api.get("/v1/ports?detail=true").json["ports"] == [port]
    assert api.get(f"/v1/nodes/{node['uuid']}/ports/detail").json["ports"] == [port]
    assert len(api.get("/v1/nodes/rack-1/ports").json["ports"]) == 1
    chosen = api.get("/v1/ports?fields=node_uuid").json["ports"][0]
    assert set(chosen) == {"node_uuid", "links"}


def test_ports_are_found_by_node_and_address(api, node, port) -> None:
    other = api.node(name="rack-2")
    api.post("/v1/ports", {"node_uuid": other["uuid"], "address": "52:54:00:00:00:02"})
    for query in (f"address={MAC.upper()}", "node=rack-1", f"node_uuid={node['uuid']}"):
        found = api.get(f"/v1/ports?{query}").json["ports"]
        assert [entry["uuid"] for entry in found] == [port["uuid"]]
    assert api.get("/v1/ports?address=x").status_code == 400
    assert api.get("/v1/ports?node=nobody").status_code == 404
    assert api.get("/v1/ports?node=rack-1&shard=s").status_code == 403
    assert api.get("/v1/ports?conductor_groups=lab").json["ports"] == []


def test_ports_have_pages(api, node) -> None:
    for number in range(3):
        body = {"node_uuid": node["uuid"], "address": f"52:54:00:00:00:0{number}"}
        api.post("/v1/ports", body)
    first = api.get("/v1/ports?limit=2&sort_key=address&sort_dir=desc").json
    marker = first["ports"][-1]["uuid"]
    rest = api.get(f"/v1/ports?marker={marker}&sort_key=address&sort_dir=desc").json
    found = [entry["address"][-1] for entry in first["ports"] + rest["ports"]]
    assert found == ["2", "1", "0"]
    assert f"marker={marker}" in first["next"]


def test_a_mac_address_is_no_name_of_a_port(api, port) -> None:
    assert api.get(f"/v1/ports/{MAC}").status_code == 400


def test_an_unknown_port_is_404(api) -> None:
    assert api.fault(api.get("/v1/ports/nobody")) == "Port nobody could not be found."


def test_a_port_is_patched(api, port, netboot) -> None:
    document = [
        {"op": "replace", "path": "/address", "value": "52:54:00:FF:FF:FF"},
        {"op": "add", "path": "/extra/a", "value": 1},
        {"op": "replace", "path": "/pxe_enabled", "value": False},
    ]
    answer = api.patch(f"/v1/ports/{port['uuid']}", document)
    assert answer.status_code == 200
    assert answer.json["address"] == "52:54:00:ff:ff:ff"
    assert (answer.json["extra"], answer.json["pxe_enabled"]) == ({"a": 1}, False)
    assert netboot.next() == ("refresh", {})


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/address", "value": "x"},
        {"op": "remove", "path": "/address"},
        {"op": "replace", "path": "/node_uuid", "value": SOME_UUID},
        {"op": "replace", "path": "/internal_info", "value": {}},
        {"op": "replace", "path": "/pxe_enabled", "value": "maybe"},
        {"op": "add", "path": "/portgroup_uuid", "value": SOME_UUID},
    ],
)
def test_a_wrong_change_is_400(api, port, step) -> None:
    assert api.patch(f"/v1/ports/{port['uuid']}", [step]).status_code == 400


@pytest.mark.parametrize(
    ("columns", "path", "value", "status"),
    [
        ({"provision_state": "available"}, "/pxe_enabled", False, 409),
        ({"provision_state": "available"}, "/address", "52:54:00:00:00:09", 409),
        ({"provision_state": "available"}, "/extra", {"a": 1}, 200),
        ({"provision_state": "available", "maintenance": True}, "/pxe_enabled", False, 200),
        ({"provision_state": "manageable"}, "/pxe_enabled", False, 200),
        (
            {"provision_state": "active", "maintenance": True},
            "/address",
            "52:54:00:00:00:09",
            409,
        ),
        ({"instance_uuid": SOME_UUID}, "/address", "52:54:00:00:00:09", 409),
    ],
)
def test_what_a_nodes_state_lets_change(api, node, port, columns, path, value, status) -> None:
    api.set(node["uuid"], **columns)
    step = {"op": "replace", "path": path, "value": value}
    assert api.patch(f"/v1/ports/{port['uuid']}", [step]).status_code == status


def test_ports_of_a_held_node_stay_as_they_are(api, node, port) -> None:
    api.lease(node["uuid"])
    step = {"op": "add", "path": "/extra/a", "value": 1}
    patched = api.patch(f"/v1/ports/{port['uuid']}", [step])
    deleted = api.delete(f"/v1/ports/{port['uuid']}")
    assert (patched.status_code, deleted.status_code) == (409, 409)
    assert api.fault(deleted).startswith(f"Node {node['uuid']} is locked by host conductor-7")


def test_a_deleted_port_is_gone(api, port, netboot) -> None:
    assert api.delete(f"/v1/ports/{port['uuid']}").status_code == 204
    assert api.get(f"/v1/ports/{port['uuid']}").status_code == 404
    assert netboot.next() == ("refresh", {})


def test_a_version_sees_its_own_fields_only(api, port) -> None:
    old = api.at("1.33").get(f"/v1/ports/{port['uuid']}").json
    assert "physical_network" not in old
    assert "pxe_enabled" in old


def test_a_name_where_a_uuid_belongs_is_told_so(api, node) -> None:
    answer = api.post("/v1/ports", {"node_uuid": "rack-1", "address": MAC})
    assert answer.status_code == 400
    assert "node_uuid must be a UUID" in api.fault(answer)


def test_a_port_with_a_vif_stays_with_its_node(api, port, store) -> None:
    other = api.node()
    with store.write() as session:
        session.execute(update(Port).values(internal_info={"tenant_vif_port_id": "vif-1"}))
    step = {"op": "replace", "path": "/node_uuid", "value": other["uuid"]}
    refused = api.patch(f"/v1/ports/{port['uuid']}", [step])
    assert refused.status_code == 409
    assert "VIF" in api.fault(refused)


def test_the_node_of_a_port_is_locked_before_the_port(api, port, sql) -> None:
    sql.clear()
    step = {"op": "replace", "path": "/extra", "value": {"a": 1}}
    assert api.patch(f"/v1/ports/{port['uuid']}", [step]).status_code == 200
    # What others hold in this order must not be taken in the other one.
    assert sql.statements[0].split("FROM")[1].split()[0] == "nodes"


def test_a_move_locks_both_nodes_in_the_order_of_their_ids(api, node, port, sql) -> None:
    other = api.node()["uuid"]
    locks = []
    for uuid in (other, node["uuid"]):
        sql.clear()
        step = {"op": "replace", "path": "/node_uuid", "value": uuid}
        moved = api.patch(f"/v1/ports/{port['uuid']}", [step])
        assert (moved.status_code, moved.json["node_uuid"]) == (200, uuid)
        locks.append(sql.statements[0])
    # Two ports that cross each other's way would wait for each other otherwise.
    assert locks[0] == locks[1]
    assert re.search(r"FROM nodes\s+WHERE .*\bOR nodes.uuid = .*ORDER BY nodes.id", locks[0], re.S)


def test_a_port_does_not_move_to_a_node_that_is_not_there(api, node, port) -> None:
    step = {"op": "replace", "path": "/node_uuid", "value": SOME_UUID}
    refused = api.patch(f"/v1/ports/{port['uuid']}", [step])
    assert refused.status_code == 400
    assert api.fault(refused) == f"Node {SOME_UUID} could not be found."
    assert api.get(f"/v1/ports/{port['uuid']}").json == port


@pytest.mark.parametrize(("was", "becomes"), [(1, True), (0, False), (1, 1.0), ([1], [True])])
def test_numbers_and_truths_are_not_the_same(api, port, was, becomes) -> None:
    one = f"/v1/ports/{port['uuid']}"
    for value in (was, becomes):
        api.patch(one, [{"op": "add", "path": "/extra/a", "value": value}])
    # As text: Python compares like the code that is tested.
    assert repr(api.get(one).json["extra"]) == repr({"a": becomes})


@pytest.mark.parametrize(
    ("wish", "said"),
    [("172.22.0.5\nport=53", r"'\n' at position 10"), ("172.22.0.500", "is not an IP address."),
     (5, "is not an IP address."), ("fd00::1%x", "'%' at position 7")],
)  # fmt: skip
def test_an_address_that_dhcp_could_not_keep_is_refused(api, node, port, wish, said) -> None:
    one = f"/v1/ports/{port['uuid']}"
    refused = api.patch(one, [{"op": "add", "path": "/extra/ip_address", "value": wish}])
    assert refused.status_code == 400
    assert said in api.fault(refused)
    body = {"node_uuid": node["uuid"], "address": MAC, "extra": {"ip_address": wish}}
    assert api.post("/v1/ports", body).status_code == 400
    kept = api.patch(one, [{"op": "add", "path": "/extra/ip_address", "value": "172.22.0.5"}])
    assert kept.json["extra"] == {"ip_address": "172.22.0.5"}
