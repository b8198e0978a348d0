"""The resource allocations: who gets which node, and when it is let go."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from drophammer import allocations
from drophammer.model import Allocation

PATH = "/v1/allocations"
SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"
READY = {"provision_state": "available", "power_state": "power off"}


@pytest.fixture
def ready(api):
    """Makes nodes that can be had."""

    def make(name=None, traits=(), *, state=None, **fields):
        node = api.node(**{"name": name, "resource_class": "big", **fields})
        if traits:
            answer = api.put(f"/v1/nodes/{node['uuid']}/traits", {"traits": list(traits)})
            assert answer.status_code == 204
        api.set(node["uuid"], **READY, **(state or {}))
        return node

    return make


@pytest.fixture
def ask(api):
    """Makes an allocation and shows what has become of it."""

    def make(**fields):
        made = api.post(PATH, {"resource_class": "big", **fields})
        assert made.status_code == 201, made.text
        return api.get(f"{PATH}/{made.json['uuid']}").json

    return make


def test_an_allocation_is_accepted_first_and_active_when_next_looked_at(api, ready) -> None:
    node = ready("rack-1")
    answer = api.post(PATH, {"resource_class": "big", "name": "web", "extra": {"a": 1}})
    assert answer.status_code == 201
    made = answer.json
    assert (made["state"], made["node_uuid"], made["last_error"]) == ("allocating", None, None)
    assert answer.headers["Location"].endswith(f"{PATH}/{made['uuid']}")
    found = api.get(f"{PATH}/web").json
    assert found == {**made, "state": "active", "node_uuid": node["uuid"]}
    shown = api.get("/v1/nodes/rack-1").json
    assert (shown["allocation_uuid"], shown["instance_uuid"]) == (made["uuid"], made["uuid"])
    assert shown["instance_info"] == {"traits": []}
    assert api.get("/v1/nodes/rack-1/allocation").json == found


def test_what_a_version_has(api, ask) -> None:
    one = f"{PATH}/{ask(owner='me')['uuid']}"
    old = api.at("1.51")
    assert [old.get(path).status_code for path in (PATH, one)] == [404, 404]
    answers = (old.post(PATH, {}), old.delete(one), api.at("1.56").patch(one, []))
    assert [answer.status_code for answer in answers] == [405, 405, 405]
    assert "owner" not in api.at("1.59").get(one).json
    assert api.at("1.59").get(f"{PATH}?owner=me").status_code == 406
    assert api.at("1.59").post(PATH, {"resource_class": "a", "owner": "me"}).status_code == 406
    assert api.at("1.57").post(PATH, {"node": "rack-1"}).status_code == 406
    node = api.node(name="rack-1")
    for method in ("GET", "DELETE"):
        assert old.call(method, f"/v1/nodes/{node['uuid']}/allocation").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resource_class": None},
        {"resource_class": "x" * 81},
        {"traits": ["nonsense"]},
        {"traits": "CUSTOM_A"},
        {"candidate_nodes": ["nobody"]},
        {"candidate_nodes": [SOME_UUID]},
        {"candidate_nodes": "rack-1"},
        {"candidate_nodes": ["x"] * 1001},
        {"name": "a b"},
        {"uuid": "x"},
        {"state": "active"},
        {"node": "nobody"},
        {"node": 7},
        {"colour": "red"},
    ],
)
def test_a_wrong_allocation_is_400(api, body) -> None:
    whole = body if "resource_class" in body or not body else {"resource_class": "big", **body}
    assert api.post(PATH, whole).status_code == 400
    assert api.get(PATH).json["allocations"] == []


def test_what_is_in_use_is_409(api, ready, ask) -> None:
    made = ask(name="web")
    for key in ("name", "uuid"):
        answer = api.post(PATH, {"resource_class": "big", key: made[key]})
        assert answer.status_code == 409
    node = ready()
    other = ready(state={"instance_uuid": SOME_UUID})
    assert api.post(PATH, {"resource_class": "big", "uuid": SOME_UUID}).status_code == 409
    assert api.get(f"/v1/nodes/{node['uuid']}").json["instance_uuid"] is None
    assert api.get(f"/v1/nodes/{other['uuid']}").json["allocation_uuid"] is None
    assert len(api.get(PATH).json["allocations"]) == 1


@pytest.mark.parametrize(
    ("why", "fields", "state"),
    [
        ("1 in maintenance", {}, {"maintenance": True}),
        ("1 in use", {}, {"instance_uuid": SOME_UUID}),
        ("1 not in state available", {}, {"provision_state": "manageable"}),
        ("1 of unknown power state", {}, {"power_state": None}),
        ("1 with a fault", {}, {"fault": "power failure"}),
        ("1 retired", {}, {"retired": True}),
        ("1 neither owned by nor lent to me", {"owner": "you"}, {}),
        ("1 without the traits CUSTOM_A, CUSTOM_B", {"traits": ["CUSTOM_A"]}, {}),
        ("None of all nodes has resource class big", {"resource_class": "small"}, {}),
    ],
)
def test_a_node_that_does_not_fit_is_not_taken_and_it_is_said_why(
    api, ready, ask, why, fields, state
) -> None:
    columns = {**READY, **state}
    traits = fields.pop("traits", ["CUSTOM_A", "CUSTOM_B"])
    node = ready(traits=traits, **{"owner": "me", **fields})
    api.set(node["uuid"], **columns)
    found = ask(traits=["CUSTOM_B", "CUSTOM_A"], owner="me")
    assert (found["state"], found["node_uuid"]) == ("error", None)
    assert why in found["last_error"]
    assert "resource class big" in found["last_error"]
    api.set(node["uuid"], allocation_uuid=None)


def test_the_one_that_fits_is_taken_with_its_traits(api, ready, ask) -> None:
    ready(traits=["CUSTOM_A"])
    ready(state={"maintenance": True})
    lent = ready(traits=["CUSTOM_A", "CUSTOM_B", "CUSTOM_C"], lessee="me")
    found = ask(traits=["CUSTOM_B", "CUSTOM_A", "CUSTOM_A"], owner="me")
    assert (found["state"], found["node_uuid"]) == ("active", lent["uuid"])
    assert found["traits"] == ["CUSTOM_B", "CUSTOM_A"]
    shown = api.get(f"/v1/nodes/{lent['uuid']}").json
    assert shown["instance_info"]["traits"] == ["CUSTOM_B", "CUSTOM_A"]


def test_only_candidates_are_considered_by_name_or_uuid(ready, ask) -> None:
    nodes = [ready(f"rack-{number}")["uuid"] for number in range(5)]
    small = ready("small", resource_class="small")["uuid"]
    found = [ask(candidate_nodes=["rack-3", nodes[1].upper(), small]) for _ in range(3)]
    assert {one["node_uuid"] for one in found} == {nodes[3], nodes[1], None}
    assert found[0]["candidate_nodes"] == [nodes[3], nodes[1], small]
    assert "2 of the 3 candidate nodes have resource class big" in found[2]["last_error"]
    assert "2 in use" in found[2]["last_error"]


def test_a_node_of_the_same_name_is_preferred(ready, ask) -> None:
    nodes = {name: ready(name)["uuid"] for name in ("a", "b", "c", "d", "e", "f", "g", "h")}
    for name in ("g", "c"):
        assert ask(name=name)["node_uuid"] == nodes[name]


def test_twenty_at_once_get_ten_nodes_and_no_node_twice(api, ready, store) -> None:
    nodes = {ready()["uuid"] for _ in range(10)}

    def post(number):
        client = api.client.application.test_client()
        headers = {"X-OpenStack-Ironic-API-Version": "1.115"}
        body = {"resource_class": "big", "name": f"a{number}"}
        return client.post(PATH, json=body, headers=headers).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(post, range(20))) == {201}
    # Whoever found the last nodes just being taken waits; there are more writers than one.
    allocations.retry(store, 60)
    found = api.get(PATH).json["allocations"]
    active = [one for one in found if one["state"] == "active"]
    failed = [one for one in found if one["state"] == "error"]
    assert (len(active), len(failed)) == (10, 10)
    assert {one["node_uuid"] for one in active} == nodes
    assert "10 in use" in failed[0]["last_error"]
    shown = api.get("/v1/nodes?fields=allocation_uuid,instance_uuid").json["nodes"]
    assert {one["allocation_uuid"] for one in shown} == {one["uuid"] for one in active}


def test_one_waits_for_a_node_that_is_held_and_gets_it(api, ready, ask, store) -> None:
    node = ready()
    api.lease(node["uuid"])
    waiting = ask()
    assert (waiting["state"], waiting["last_error"]) == ("allocating", None)
    allocations.retry(store, 60)
    assert api.get(f"{PATH}/{waiting['uuid']}").json["state"] == "allocating"
    api.set(node["uuid"], lease_owner=None)
    allocations.retry(store, 60)
    found = api.get(f"{PATH}/{waiting['uuid']}").json
    assert (found["state"], found["node_uuid"]) == ("active", node["uuid"])
    assert api.get(f"/v1/nodes/{node['uuid']}").json["instance_uuid"] == found["uuid"]


def test_one_does_not_wait_for_ever(api, ready, ask, store) -> None:
    node = ready()
    api.lease(node["uuid"])
    late = ask()
    allocations.retry(store, 0)
    found = api.get(f"{PATH}/{late['uuid']}").json
    assert found["state"] == "error"
    assert "1 held by somebody at this moment" in found["last_error"]
    hopeless = ask()
    api.set(node["uuid"], maintenance=True)
    allocations.retry(store, 60)
    assert "1 in maintenance" in api.get(f"{PATH}/{hopeless['uuid']}").json["last_error"]


def test_one_that_waits_may_be_deleted(api, ready, ask, store) -> None:
    api.lease(ready()["uuid"])
    waiting = ask()
    assert api.delete(f"{PATH}/{waiting['uuid']}").status_code == 204
    allocations.retry(store, 60)
    assert api.get(PATH).json["allocations"] == []


def test_one_whose_uuid_another_instance_got_meanwhile_ends(api, ready, ask, store) -> None:
    node, other = ready(), api.node()
    api.lease(node["uuid"])
    waiting = ask()
    api.set(other["uuid"], instance_uuid=waiting["uuid"])
    api.set(node["uuid"], lease_owner=None)
    allocations.retry(store, 60)
    found = api.get(f"{PATH}/{waiting['uuid']}").json
    assert found["state"] == "error"
    assert "already associated" in found["last_error"]
    assert api.get(f"/v1/nodes/{node['uuid']}").json["allocation_uuid"] is None


def test_a_lease_that_has_run_out_holds_nothing(api, ready, ask) -> None:
    api.lease(ready()["uuid"], seconds=-1)
    assert ask()["state"] == "active"


# A node in use


@pytest.fixture
def used(api, ready):
    state = {"provision_state": "active", "instance_uuid": SOME_UUID}
    node = ready("rack-1", ["CUSTOM_A"])
    api.set(node["uuid"], **state)
    return node


def test_a_node_in_use_gets_an_allocation_with_its_instances_uuid(api, used) -> None:
    answer = api.post(PATH, {"node": "rack-1", "traits": ["CUSTOM_A"]})
    assert answer.status_code == 201, answer.text
    made = answer.json
    assert (made["state"], made["node_uuid"]) == ("active", used["uuid"])
    assert (made["uuid"], made["resource_class"]) == (SOME_UUID, "big")
    assert "node" not in made
    shown = api.get("/v1/nodes/rack-1").json
    assert (shown["allocation_uuid"], shown["instance_uuid"]) == (SOME_UUID, SOME_UUID)
    assert api.post(PATH, {"node": "rack-1"}).status_code == 409


def test_an_active_node_without_an_instance_gets_the_allocations_uuid(api, used) -> None:
    api.set(used["uuid"], instance_uuid=None)
    made = api.post(PATH, {"node": used["uuid"]}).json
    assert api.get("/v1/nodes/rack-1").json["instance_uuid"] == made["uuid"]


@pytest.mark.parametrize(
    ("fields", "state", "status"),
    [
        ({}, {"provision_state": "available"}, 409),
        ({"uuid": "11111111-2222-4333-8444-555555555555"}, {"owner": None}, 409),
        ({"resource_class": "small"}, {"owner": None}, 400),
        ({"traits": ["CUSTOM_B"]}, {"owner": None}, 400),
        ({"owner": "me"}, {"owner": "you"}, 400),
    ],
)
def test_another_node_than_asked_for_is_refused(api, used, fields, state, status) -> None:
    api.set(used["uuid"], **state)
    answer = api.post(PATH, {"node": "rack-1", **fields})
    assert answer.status_code == status, answer.text
    assert used["uuid"] in api.fault(answer)
    assert api.get(PATH).json["allocations"] == []


def test_a_held_node_in_use_is_409(api, used) -> None:
    api.lease(used["uuid"])
    assert "is locked by host" in api.fault(api.post(PATH, {"node": "rack-1"}))


def test_candidates_must_have_the_node_in_use_among_them(api, used, ready) -> None:
    other = ready("rack-2")
    body = {"node": "rack-1", "candidate_nodes": [other["uuid"]]}
    assert "candidate" in api.fault(api.post(PATH, body))


# Lists, changes, ends


def test_lists_show_everything_and_are_narrowed(api, ready, ask) -> None:
    ready("rack-1", owner="me")
    empty = api.node(name="rack-2")
    active, failed = ask(name="a", owner="me"), ask(name="b")
    assert api.get(PATH).json["allocations"] == [active, failed]

    def found(query):
        return [one["name"] for one in api.get(f"{PATH}?{query}").json["allocations"]]

    assert found("node=rack-1") == found("state=active") == found("owner=me") == ["a"]
    assert found("sort_key=name&sort_dir=desc") == ["b", "a"]
    assert found("resource_class=small") == found(f"node={empty['uuid']}") == []
    assert api.get(f"{PATH}?fields=uuid").json["allocations"][0].keys() == {"uuid", "links"}
    assert "state=error" in api.get(f"{PATH}?limit=1&state=error").json["next"]
    for wrong in ("node=nobody", "sort_key=traits", "colour=red", "fields=node"):
        assert api.get(f"{PATH}?{wrong}").status_code == 400


def test_name_and_extra_change_and_nothing_else(api, ready, ask) -> None:
    ready()
    one = f"{PATH}/{ask()['uuid']}"
    steps = [
        {"op": "replace", "path": "/name", "value": "web"},
        {"op": "add", "path": "/extra/answer", "value": 42},
    ]
    changed = api.at("1.57").patch(one, steps).json
    assert (changed["name"], changed["extra"], changed["state"]) == (
        "web",
        {"answer": 42},
        "active",
    )
    assert changed["node_uuid"]
    undo = [{"op": "remove", "path": "/name"}, {"op": "remove", "path": "/extra/answer"}]
    assert api.patch(f"{PATH}/web", undo).json["name"] is None
    for path in ("/state", "/traits", "/owner", "/resource_class"):
        step = {"op": "replace", "path": path, "value": "x"}
        assert api.patch(one, [step]).status_code == 400
    assert api.patch(one, [{"op": "replace", "path": "/name", "value": "a b"}]).status_code == 400


@pytest.mark.parametrize("path", ["allocations/web", "nodes/rack-1/allocation"])
def test_deleting_frees_the_node(api, ready, ask, path) -> None:
    ready("rack-1", ["CUSTOM_A"], instance_info={"image_source": "x"})
    ask(name="web", traits=["CUSTOM_A"])
    assert api.delete(f"/v1/{path}").status_code == 204
    assert api.get(f"{PATH}/web").status_code == 404
    shown = api.get("/v1/nodes/rack-1").json
    assert (shown["allocation_uuid"], shown["instance_uuid"]) == (None, None)
    assert shown["instance_info"] == {"image_source": "x"}
    assert api.delete(f"/v1/{path}").status_code == 404
    assert api.get("/v1/nodes/rack-1/allocation").status_code == 404
    assert ask()["state"] == "active"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"provision_state": "active"}, 409),
        ({"provision_state": "deploying", "target_provision_state": "active"}, 409),
        ({"provision_state": "deploy failed", "target_provision_state": "active"}, 204),
        ({"provision_state": "active", "maintenance": True}, 204),
    ],
)
def test_a_node_lets_go_of_its_allocation_only_in_some_states(
    api, ready, ask, state, status
) -> None:
    node = ready("rack-1")
    ask(name="web")
    api.set(node["uuid"], **state)
    steps = [{"op": "remove", "path": "/instance_uuid"}]
    api.lease(node["uuid"])
    assert api.delete(f"{PATH}/web").status_code == 409
    api.set(node["uuid"], lease_owner=None)
    if status == 409:
        assert api.patch("/v1/nodes/rack-1", steps).status_code == 409
    assert api.delete(f"{PATH}/web").status_code == status


def test_taking_the_instance_from_a_node_ends_its_allocation(api, ready, ask) -> None:
    ready("rack-1")
    ask(name="web")
    steps = [{"op": "remove", "path": "/instance_uuid"}]
    changed = api.patch("/v1/nodes/rack-1", steps).json
    assert (changed["instance_uuid"], changed["allocation_uuid"]) == (None, None)
    assert api.get(f"{PATH}/web").status_code == 404


def test_deleting_a_node_deletes_its_allocation(api, ready, ask) -> None:
    node = ready("rack-1")
    ask(name="web")
    api.set(node["uuid"], maintenance=True)
    assert api.delete("/v1/nodes/rack-1").status_code == 204
    assert api.get(f"{PATH}/web").status_code == 404


@pytest.mark.parametrize(("owner", "status"), [("me", 409), (None, 200)])
def test_a_node_with_an_owned_allocation_keeps_its_owner(api, ready, ask, owner, status) -> None:
    ready("rack-1", owner="me")
    assert ask(owner=owner)["state"] == "active"
    steps = [{"op": "replace", "path": "/owner", "value": "you"}]
    answer = api.patch("/v1/nodes/rack-1", steps)
    assert answer.status_code == status, answer.text


# Statements


def test_an_allocation_costs_at_most_four_statements_in_one_commit(api, ready, sql) -> None:
    names = [ready(f"rack-{number}")["name"] for number in range(3)]
    for body in ({}, {"candidate_nodes": names}, {"resource_class": "small"}):
        sql.clear()
        assert api.post(PATH, {"resource_class": "big", **body}).status_code == 201
        assert (sql.count <= 4, sql.commits) == (True, 1), sql.statements
    sql.clear()
    assert api.delete(f"{PATH}/{api.get(PATH).json['allocations'][0]['uuid']}").status_code == 204
    assert (sql.count <= 5, sql.commits) == (True, 1), sql.statements


def test_lists_and_changes_of_allocations_cost_the_same_for_many(api, ready, ask, sql) -> None:
    for number in range(6):
        ready()
        ask(name=f"a{number}")
    for limit in (1, 6):
        sql.clear()
        assert len(api.get(f"{PATH}?limit={limit}").json["allocations"]) == limit
        assert sql.count == 1
    sql.clear()
    assert api.patch(f"{PATH}/a0", [{"op": "add", "path": "/extra/a", "value": 1}]).json
    assert (sql.count <= 2, sql.commits) == (True, 1)


def test_a_retry_with_nothing_to_do_is_one_statement(api, ready, ask, store, sql) -> None:
    ready()
    ask()
    sql.clear()
    allocations.retry(store, 60)
    assert (sql.count, sql.commits) == (1, 0)


def test_the_time_an_allocation_waits_is_that_of_the_store(api, ready, ask, store) -> None:
    api.lease(ready()["uuid"], seconds=3600)
    late = ask()
    before = store.clock.now() - datetime.timedelta(seconds=100)
    with store.write() as session:
        session.execute(update(Allocation).values(created_at=before))
    allocations.retry(store, 101)
    assert api.get(f"{PATH}/{late['uuid']}").json["state"] == "allocating"
    allocations.retry(store, 99)
    assert api.get(f"{PATH}/{late['uuid']}").json["state"] == "error"
