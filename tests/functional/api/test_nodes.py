"""The resource nodes: create, show, list, delete."""

from __future__ import annotations

import pytest

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"

BAD_NAMES = ["", "a b", "a/b", "ä", "x" * 256, SOME_UUID, "detail", "..", "a\n"]

WRONG_BODIES = [
    ({}, "Missing mandatory parameter: driver"),
    ({"driver": None}, "Missing mandatory parameter: driver"),
    ({"driver": "none"}, "No valid host"),
    ({"driver": 5}, "driver"),
    ({"driver": "fake-hardware", "colour": 1}, "Unexpected arguments: colour"),
    ({"driver": "fake-hardware", "power_state": "on"}, "Unexpected arguments: power_state"),
    ({"driver": "fake-hardware", "extra": []}, "extra"),
    ({"driver": "fake-hardware", "maintenance": None}, "maintenance"),
    ({"driver": "fake-hardware", "uuid": "1"}, "uuid"),
    ({"driver": "fake-hardware", "resource_class": "x" * 81}, "resource_class"),
    ({"driver": "fake-hardware", "description": "x" * 4097}, "description"),
    ({"driver": "fake-hardware", "boot_interface": "none"}, "boot interface 'none'"),
    ({"driver": "fake-hardware", "chassis_uuid": SOME_UUID}, "Chassis"),
    ({"driver": "fake-hardware", "conductor_group": "nowhere"}, "nowhere"),
    ({"driver": "fake-hardware", "conductor_group": "a b"}, "conductor_group"),
    (
        {"driver": "fake-hardware", "parent_node": SOME_UUID},
        "could not be found",
    ),
    ({"driver": "fake-hardware", "network_data": {"x": 1}}, "network_data"),
    ({"driver": "fake-hardware", "retired_reason": "x"}, "retired"),
    (
        {"driver": "fake-hardware", "driver_info": {"deploy_kernel": "ftp://x/y"}},
        "deploy_kernel",
    ),
    ({"driver": "fake-hardware", "driver_info": {"deploy_kernel": 7}}, "deploy_kernel"),
    (
        {"driver": "fake-hardware", "driver_info": {"kernel_append_params": "a=1\nboot"}},
        "position 3",
    ),
]


def test_a_new_node_is_enrolled_with_its_defaults(api) -> None:
    answer = api.post("/v1/nodes", {"driver": "ipmi", "name": "rack-1"})
    node = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"http://localhost/v1/nodes/{node['uuid']}"
    assert node["provision_state"] == "enroll"
    assert node["power_interface"] == "ipmitool"
    assert (node["extra"], node["traits"], node["chassis_uuid"]) == ({}, [], None)
    assert node["created_at"].endswith("+00:00")
    assert node["conductor"] == "conductor-1"
    assert node["reservation"] is None


def test_a_node_reads_as_it_was_created(api) -> None:
    fields = {
        "name": "a~b.c_d-e",
        "uuid": SOME_UUID,
        "extra": {"text": "\U0001f600", "list": [1, None, 1.5]},
        "properties": {"cpu_arch": "x86_64"},
        "resource_class": "big",
        "owner": "me",
        "description": "x" * 4096,
        "automated_clean": False,
        "conductor_group": "",
        "instance_uuid": SOME_UUID,
        "boot_mode": "uefi",
        "network_data": {"links": [{"id": "eth0", "type": "phy"}]},
        "retired": True,
        "retired_reason": "old",
        "maintenance": True,
        "disable_power_off": True,
        "shard": "s1",
        "lessee": "you",
    }
    created = api.node(**fields)
    shown = api.get(f"/v1/nodes/{created['uuid']}").json
    assert {name: shown[name] for name in fields} == fields


def test_before_1_11_a_new_node_is_available(api) -> None:
    node = api.at("1.10").node()
    assert node["provision_state"] == "available"


def test_available_is_null_before_1_2(api) -> None:
    node = api.at("1.1").node()
    assert node["provision_state"] is None


def test_inspect_wait_reads_inspecting_before_1_39(api) -> None:
    uuid = api.node()["uuid"]
    api.set(uuid, provision_state="inspect wait")
    assert api.at("1.38").get(f"/v1/nodes/{uuid}").json["provision_state"] == "inspecting"
    assert api.at("1.39").get(f"/v1/nodes/{uuid}").json["provision_state"] == "inspect wait"


def test_a_version_sees_its_own_fields_only(api) -> None:
    uuid = api.node()["uuid"]
    assert "owner" not in api.at("1.49").get(f"/v1/nodes/{uuid}").json
    assert "owner" in api.at("1.50").get(f"/v1/nodes/{uuid}").json


def test_secrets_are_masked_in_every_answer(api) -> None:
    secret = {"ipmi_password": "hunter2", "nested": {"token": "hunter2"}}
    created = api.post("/v1/nodes", {"driver": "ipmi", "name": "s", "driver_info": secret})
    patched = api.patch("/v1/nodes/s", [{"op": "add", "path": "/extra/x", "value": 1}])
    listed = api.get("/v1/nodes?fields=driver_info")
    detailed = api.get("/v1/nodes/detail")
    shown = api.get("/v1/nodes/s")
    for answer in (created, patched, listed, detailed, shown):
        assert "******" in answer.text
        assert "hunter2" not in answer.text


def test_a_wrong_body_is_400_with_the_reason(api) -> None:
    for body, said in WRONG_BODIES:
        answer = api.post("/v1/nodes", body)
        assert answer.status_code == 400, body
        assert said in api.fault(answer), body


def test_a_refused_value_is_not_repeated(api) -> None:
    answer = api.post("/v1/nodes", {"driver": "ipmi", "driver_info": "hunter2"})
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


def test_the_configured_kernel_parameters_may_be_referred_to(api) -> None:
    info = {"kernel_append_params": "%default% console=ttyS0"}
    assert api.node(driver_info=info)["driver_info"] == info


def test_a_name_that_urls_cannot_hold_is_refused(api) -> None:
    for name in BAD_NAMES:
        body = {"driver": "fake-hardware", "name": name}
        assert api.post("/v1/nodes", body).status_code == 400, name


def test_a_field_newer_than_the_version_is_406(api) -> None:
    answer = api.at("1.49").post("/v1/nodes", {"driver": "fake-hardware", "owner": "x"})
    assert answer.status_code == 406


@pytest.mark.parametrize("field", ["name", "uuid", "instance_uuid"])
def test_what_is_unique_is_409_the_second_time(api, field) -> None:
    value = "rack-1" if field == "name" else SOME_UUID
    api.node(**{field: value})
    answer = api.post("/v1/nodes", {"driver": "fake-hardware", field: value})
    assert answer.status_code == 409
    assert value in api.fault(answer)


def test_a_node_is_found_by_uuid_in_any_spelling_and_by_name(api) -> None:
    uuid = api.node(name="rack-1")["uuid"]
    for ident in (uuid, uuid.upper(), uuid.replace("-", ""), "rack-1"):
        assert api.get(f"/v1/nodes/{ident}").json["uuid"] == uuid


def test_names_are_unknown_before_1_5(api) -> None:
    api.node(name="rack-1")
    assert api.at("1.4").get("/v1/nodes/rack-1").status_code == 404


def test_an_unknown_node_is_404_in_the_words_clients_know(api) -> None:
    answer = api.get("/v1/nodes/nobody")
    assert answer.status_code == 404
    assert api.fault(answer) == "Node nobody could not be found."


def test_a_path_that_is_no_name_is_400(api) -> None:
    assert api.get("/v1/nodes/a%20b").status_code == 400
    assert api.get("/v1/nodes/a%00b").status_code == 400
    assert api.get("/v1/nodes/%ff%fe").status_code == 400


def test_fields_choose_what_is_shown(api) -> None:
    api.node(name="rack-1")
    assert set(api.get("/v1/nodes/rack-1?fields=name,uuid").json) == {"name", "uuid", "links"}


def test_unknown_fields_are_400_and_new_ones_406(api) -> None:
    api.node(name="rack-1")
    assert api.get("/v1/nodes/rack-1?fields=colour").status_code == 400
    assert api.get("/v1/nodes?fields=colour").status_code == 400
    assert api.at("1.49").get("/v1/nodes?fields=owner").status_code == 406


def test_a_held_node_shows_its_holder(api) -> None:
    uuid = api.node()["uuid"]
    api.lease(uuid)
    assert api.get(f"/v1/nodes/{uuid}").json["reservation"] == "conductor-7"


def test_a_lease_that_ran_out_is_no_reservation(api) -> None:
    uuid = api.node()["uuid"]
    api.lease(uuid, seconds=-1)
    assert api.get(f"/v1/nodes/{uuid}").json["reservation"] is None


def test_what_the_agent_told_is_shown_without_its_token(api, store) -> None:
    from drophammer.model import Agent

    node = api.node()
    with store.write() as session:
        (found,) = session.execute(_id_of(node["uuid"])).one()
        session.add(Agent(node_id=found, token="t" * 43, url="https://192.0.2.1:9999"))
    shown = api.get(f"/v1/nodes/{node['uuid']}").json["driver_internal_info"]
    assert shown == {"agent_url": "https://192.0.2.1:9999", "agent_secret_token": "******"}


def _id_of(uuid):
    from sqlalchemy import select

    from drophammer.model import Node

    return select(Node.id).where(Node.uuid == uuid)


def test_a_node_without_a_running_conductor_shows_none(api, store) -> None:
    from sqlalchemy import update

    from drophammer.model import Conductor

    uuid = api.node()["uuid"]
    api.set(uuid, driver="gone")
    assert api.get(f"/v1/nodes/{uuid}").json["conductor"] is None
    with store.write() as session:
        session.execute(update(Conductor).values(online=False))


def test_a_deleted_node_is_gone_with_its_ports(api, netboot) -> None:
    uuid = api.node()["uuid"]
    port = api.post("/v1/ports", {"node_uuid": uuid, "address": "52:54:00:00:00:01"}).json
    answer = api.delete(f"/v1/nodes/{uuid}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert api.get(f"/v1/nodes/{uuid}").status_code == 404
    assert api.get(f"/v1/ports/{port['uuid']}").status_code == 404


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"provision_state": "enroll"}, 204),
        ({"provision_state": "manageable"}, 204),
        ({"provision_state": "available"}, 204),
        ({"provision_state": "adopt failed"}, 204),
        ({"provision_state": "active"}, 409),
        ({"provision_state": "deploying"}, 409),
        ({"provision_state": "active", "maintenance": True}, 204),
        ({"instance_uuid": SOME_UUID}, 409),
        ({"instance_uuid": SOME_UUID, "maintenance": True}, 204),
        ({"protected": True, "maintenance": True}, 403),
    ],
)
def test_when_a_node_may_be_deleted(api, columns, status) -> None:
    uuid = api.node()["uuid"]
    api.set(uuid, **columns)
    assert api.delete(f"/v1/nodes/{uuid}").status_code == status


def test_available_nodes_stay_where_the_site_wants_it(settings, store, bus, api) -> None:
    import dataclasses

    from api.app import create_app

    strict = dataclasses.replace(settings, allow_deleting_available_nodes=False)
    uuid = api.node()["uuid"]
    api.set(uuid, provision_state="available")
    assert (
        create_app(strict, store, bus).test_client().delete(f"/v1/nodes/{uuid}").status_code == 409
    )


def test_the_states_of_a_node_at_a_glance(api) -> None:
    uuid = api.node()["uuid"]
    assert set(api.at("1.1").get(f"/v1/nodes/{uuid}/states").json) == {
        "console_enabled",
        "last_error",
        "power_state",
        "provision_state",
        "target_power_state",
        "target_provision_state",
        "provision_updated_at",
    }
    assert "boot_mode" in api.at("1.75").get(f"/v1/nodes/{uuid}/states").json
