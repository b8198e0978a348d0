"""How often the database is asked: the same for one item and for a hundred."""

from __future__ import annotations

import pytest

from drophammer import nodes
from tests.databases import ASKS_FIRST


@pytest.fixture
def many(api, store):
    with store.write() as session:
        for number in range(100):
            nodes.create(
                session,
                {
                    "uuid": f"00000000-0000-4000-8000-{number:012d}",
                    "name": f"n{number}",
                    "driver": "ipmi",
                    "provision_state": "active",
                    "created_at": store.clock.now(),
                },
            )
    return api


@pytest.mark.parametrize("path", ["/v1/nodes/detail", "/v1/nodes", "/v1/nodes?detail=true"])
def test_a_list_of_a_hundred_costs_as_much_as_a_list_of_one(many, sql, path) -> None:
    counts = []
    for limit in (1, 100):
        sql.clear()
        separator = "&" if "?" in path else "?"
        answer = many.get(f"{path}{separator}limit={limit}")
        assert len(answer.json["nodes"]) == limit
        counts.append(sql.count)
    assert counts[1] <= counts[0] <= 3


def test_the_next_page_costs_no_more_than_three(many, sql) -> None:
    marker = many.get("/v1/nodes?limit=50").json["nodes"][-1]["uuid"]
    sql.clear()
    many.get(f"/v1/nodes/detail?limit=50&marker={marker}")
    assert sql.count <= 3


@pytest.mark.parametrize("arguments", ["sort_key=owner", "sort_key=owner&sort_dir=desc"])
def test_sorting_by_what_few_nodes_have_costs_no_more_than_three(many, sql, arguments) -> None:
    marker = many.get(f"/v1/nodes?limit=50&{arguments}").json["nodes"][-1]["uuid"]
    sql.clear()
    assert len(many.get(f"/v1/nodes?{arguments}&marker={marker}").json["nodes"]) == 50
    assert sql.count <= 3


def test_filters_cost_no_statement_of_their_own(many, sql) -> None:
    many.get("/v1/nodes")
    sql.clear()
    many.get("/v1/nodes?provision_state=active&owner=x&maintenance=false&resource_class=y")
    assert sql.count == 1


@pytest.mark.parametrize("ident", ["n7", "00000000-0000-4000-8000-000000000007"])
def test_one_node_costs_one_when_the_conductors_are_known(many, sql, ident) -> None:
    many.get("/v1/nodes/n7")
    sql.clear()
    many.get(f"/v1/nodes/{ident}")
    assert (sql.count, sql.commits) == (1, 0)


def test_a_new_node_costs_at_most_four_in_one_commit(many, sql) -> None:
    parent = many.get("/v1/nodes/n7").json["uuid"]
    sql.clear()
    many.node(name="new", parent_node=parent)
    assert (sql.count <= 4, sql.commits) == (True, 1)


def test_a_patch_costs_at_most_four_in_one_commit(many, sql) -> None:
    body = [{"op": "add", "path": "/extra/a", "value": 1}]
    sql.clear()
    assert many.patch("/v1/nodes/n7", body).status_code == 200
    assert (sql.count <= 4, sql.commits) == (True, 1)


def test_a_heartbeat_is_one_commit(api, sql) -> None:
    uuid = api.node()["uuid"]
    api.set(uuid, provision_state="wait call-back")
    found = api.at("1.62").get(f"/v1/lookup?node_uuid={uuid}").json
    body = {
        "callback_url": "https://192.0.2.9:9999",
        "agent_token": found["config"]["agent_token"],
        "agent_version": "1",
    }
    assert api.post(f"/v1/heartbeat/{uuid}", body).status_code == 202
    sql.clear()
    assert api.post(f"/v1/heartbeat/{uuid}", body).status_code == 202
    assert (sql.count <= 3 + ASKS_FIRST, sql.commits) == (True, 1)


def test_ports_cost_at_most_three(api, sql) -> None:
    uuid = api.node()["uuid"]
    for number in range(5):
        body = {"node_uuid": uuid, "address": f"52:54:00:00:00:0{number}"}
        assert api.post("/v1/ports", body).status_code == 201
    sql.clear()
    assert len(api.get(f"/v1/ports/detail?node={uuid}").json["ports"]) == 5
    assert sql.count <= 3
