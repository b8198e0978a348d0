"""Volume connectors and targets."""

from __future__ import annotations

import pytest

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"
CONNECTOR = {"type": "iqn", "connector_id": "iqn.2017-07.org.example:01:d9a51732c3f"}
TARGET = {"volume_type": "iscsi", "volume_id": "vol-1", "boot_index": 0}
NOUNS = [("connectors", CONNECTOR), ("targets", TARGET)]


@pytest.fixture
def node(api):
    made = api.node(name="rack-1")
    api.set(made["uuid"], power_state="power off", provision_state="manageable")
    return made


@pytest.fixture(params=NOUNS, ids=[noun for noun, _ in NOUNS])
def noun(request):
    """The path, the body of a new one without its node, and the key of lists."""
    key, body = request.param
    return f"/v1/volume/{key}", body, key


@pytest.fixture
def made(api, node, noun):
    answer = api.post(noun[0], {"node_uuid": node["uuid"], **noun[1]})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"].endswith(f"{noun[0]}/{answer.json['uuid']}")
    return answer.json


def replaced(path, value):
    return [{"op": "replace", "path": path, "value": value}]


def test_a_new_one_is_shown_and_listed(api, node, noun, made) -> None:
    path, body, key = noun
    assert made.items() >= {"node_uuid": node["uuid"], "extra": {}, **body}.items()
    assert api.get(f"{path}/{made['uuid']}").json == made
    for url in (path, f"/v1/nodes/rack-1/volume/{key}", f"{path}?node=rack-1"):
        (brief,) = api.get(url).json[key]
        assert set(brief) == {"uuid", "node_uuid", "links", *body}
    assert api.get(f"{path}?detail=true").json[key] == [made]
    assert api.get(f"{path}/{made['uuid']}?fields=uuid,extra").json == {
        "uuid": made["uuid"],
        "extra": {},
        "links": made["links"],
    }


def test_detail_is_there_from_the_first_version_of_volumes(api, noun, made) -> None:
    path, _, key = noun
    assert api.at("1.32").get(f"{path}?detail=True").json[key] == [made]
    assert api.at("1.31").get(path).status_code == 404
    assert api.at("1.31").post(path, {}).status_code == 404
    # Clients look for the refusal of this word.
    assert api.at("1.32").get(f"{path}?details=True").status_code == 400


def test_only_a_uuid_names_one(api, noun) -> None:
    assert api.get(f"{noun[0]}/{SOME_UUID}").status_code == 404
    assert api.get(f"{noun[0]}/nobody").status_code == 400


def test_what_is_missing_or_wrong_is_400(api, node, noun) -> None:
    path, body, _ = noun
    whole = {"node_uuid": node["uuid"], **body}
    for key in whole:
        without = {name: value for name, value in whole.items() if name != key}
        assert key in api.fault(api.post(path, without))
        assert api.post(path, {**whole, key: []}).status_code == 400
    assert api.post(path, {**whole, "node_uuid": SOME_UUID}).status_code == 400
    assert api.post(path, {**whole, "colour": "red"}).status_code == 400
    for index in (2**31, 1.5):
        assert api.post("/v1/volume/targets", {**TARGET, "boot_index": index}).status_code == 400


def test_the_same_twice_is_409(api, node, noun, made) -> None:
    path, body, _ = noun
    again = api.post(path, {"node_uuid": node["uuid"], **body})
    assert again.status_code == 409
    assert str(body.get("boot_index", body.get("connector_id"))) in api.fault(again)


def test_a_change_to_what_another_has_names_it_whole(api, node) -> None:
    whole = {"node_uuid": node["uuid"], **CONNECTOR}
    assert api.post("/v1/volume/connectors", whole).status_code == 201
    other = api.post("/v1/volume/connectors", {**whole, "type": "ip"}).json
    answer = api.patch(f"/v1/volume/connectors/{other['uuid']}", replaced("/type", "iqn"))
    assert answer.status_code == 409
    assert CONNECTOR["connector_id"] in api.fault(answer)


def test_a_patch_changes_and_moves_it(api, noun, made) -> None:
    other = api.node()
    api.set(other["uuid"], power_state="power off")
    steps = [
        {"op": "add", "path": "/extra/a", "value": 1},
        {"op": "replace", "path": "/node_uuid", "value": other["uuid"]},
    ]
    changed = api.patch(f"{noun[0]}/{made['uuid']}", steps).json
    assert (changed["extra"], changed["node_uuid"]) == ({"a": 1}, other["uuid"])
    assert api.get(f"{noun[0]}/{made['uuid']}").json == changed
    assert api.get(f"{noun[0]}?node=rack-1").json[noun[2]] == []


@pytest.mark.parametrize("power", ["power on", None, "error"])
def test_it_changes_only_while_its_node_is_off(api, node, noun, made, power) -> None:
    path = f"{noun[0]}/{made['uuid']}"
    on = api.node()
    api.set(on["uuid"], power_state=power)
    moved = api.patch(path, replaced("/node_uuid", on["uuid"]))
    api.set(node["uuid"], power_state=power, provision_state="active")
    patched = api.patch(path, replaced("/extra", {"a": 1}))
    deleted = api.delete(path)
    assert [answer.status_code for answer in (moved, patched, deleted)] == [400, 400, 400]
    assert "powered off" in api.fault(deleted)
    # What has no system on it may lose its volumes whatever its power says.
    api.set(node["uuid"], provision_state="enroll")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_those_of_a_held_node_stay_as_they_are(api, node, noun, made) -> None:
    api.lease(node["uuid"])
    path = f"{noun[0]}/{made['uuid']}"
    assert api.patch(path, replaced("/extra", {"a": 1})).status_code == 409
    assert api.delete(path).status_code == 409


def test_passwords_of_a_target_are_shown_to_nobody(api, node, store) -> None:
    properties = {"auth_method": "CHAP", "auth_password": "hunter2", "auth_username": "me"}
    body = {"node_uuid": node["uuid"], **TARGET, "properties": properties}
    made = api.post("/v1/volume/targets", body)
    path = f"/v1/volume/targets/{made.json['uuid']}"
    patched = api.patch(path, replaced("/properties/auth_username", "you"))
    answers = [made, patched, api.get(path), api.get("/v1/volume/targets?detail=true")]
    answers.append(api.get("/v1/volume/targets?fields=properties"))
    assert patched.json["properties"] == {
        "auth_method": "CHAP",
        "auth_password": "******",
        "auth_username": "you",
    }
    assert not [answer for answer in answers if "hunter2" in answer.text]
    with store.read() as session:
        kept = session.connection().exec_driver_sql("SELECT properties FROM volume_targets")
        assert "hunter2" in str(kept.scalar_one())


@pytest.mark.parametrize("above", ["volume", "nodes/rack-1/volume"])
def test_the_document_says_where_they_are(api, node, above) -> None:
    found = api.get(f"/v1/{above}").json
    base = above.replace("rack-1", node["uuid"])
    assert found["links"][0]["href"].endswith(f"/v1/{base}/")
    assert found["connectors"][0]["href"].endswith(f"/v1/{base}/connectors")
    assert found["targets"][1]["href"].endswith(f"/{base}/targets")
    assert api.at("1.31").get(f"/v1/{above}").status_code == 404


def test_volumes_cost_at_most_three_statements(api, node, noun, sql) -> None:
    path, body, key = noun
    uuids = []
    for number in range(4):
        own = (
            {"connector_id": f"iqn.2004-05.x:{number}"}
            if key == "connectors"
            else {"boot_index": number}
        )
        sql.clear()
        answer = api.post(path, {"node_uuid": node["uuid"], **body, **own})
        assert (sql.count <= 3, sql.commits) == (True, 1)
        uuids.append(answer.json["uuid"])
    sql.clear()
    assert len(api.get(f"{path}?node=rack-1&detail=true").json[key]) == 4
    assert sql.count <= 2
    sql.clear()
    assert api.patch(f"{path}/{uuids[0]}", replaced("/extra", {"a": 1})).status_code == 200
    assert (sql.count <= 3, sql.commits) == (True, 1)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"target_iqn": "iqn.2004-05.com.example:a\nboot"}, r"'\n' at position 25"),
        ({"target_iqn": "iqn.2004-05.com.example:${net0/ip}"}, "'$' at position 24"),
        ({"target_portal": "172.22.0.9:3260 --drive 1"}, "' ' at position 15"),
        ({"target_portal": "\u2028"}, r"'\u2028' at position 0"),
        ({"target_lun": "1\n"}, "target_lun is not a number"),
        ({"target_iqn": "iqn.2004-05.com.example:" + "a" * 10240}, "at most 223 characters"),
        ({"target_iqn": "</target>"}, "'<' at position 0"),
    ],
)
def test_what_would_reach_a_boot_script_is_refused_where_it_is_written(
    api, node, properties, said
) -> None:
    body = {"node_uuid": node["uuid"], **TARGET, "properties": properties}
    refused = api.post("/v1/volume/targets", body)
    assert refused.status_code == 400
    assert said in api.fault(refused)
    made = api.post("/v1/volume/targets", {**body, "properties": {"any": "thing"}}).json
    path = f"/v1/volume/targets/{made['uuid']}"
    refused = api.patch(path, replaced("/properties", properties))
    assert (refused.status_code, api.get(path).json) == (400, made)
    assert said in api.fault(refused)


def test_a_name_that_firmware_could_not_have_is_refused(api, node) -> None:
    body = {"node_uuid": node["uuid"], "type": "iqn", "connector_id": "iqn.2004-05.com.example:a b"}
    refused = api.post("/v1/volume/connectors", body)
    assert (refused.status_code, "' ' at position 25" in api.fault(refused)) == (400, True)
    other = {**body, "type": "wwpn"}
    made = api.post("/v1/volume/connectors", other).json
    refused = api.patch(f"/v1/volume/connectors/{made['uuid']}", replaced("/type", "iqn"))
    assert (refused.status_code, "' ' at position 25" in api.fault(refused)) == (400, True)
