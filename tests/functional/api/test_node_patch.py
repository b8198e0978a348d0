"""Changing nodes: rules of states, interfaces, locks, and many at once."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from drophammer.model import Node
from drophammer.states import PATCHABLE_WITH_TARGET, STATES
from tests.patience import PATIENCE

SOME_UUID = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"

WRONG_CHANGES = [
    ("/uuid", SOME_UUID),
    ("/provision_state", "active"),
    ("/console_enabled", True),
    ("/name", "a b"),
    ("/name", 5),
    ("/driver", None),
    ("/driver", "none"),
    ("/extra", None),
    ("/extra/none/deeper", 1),
    ("/boot_interface", "none"),
    ("/chassis_uuid", SOME_UUID),
    ("/protected_reason", "because"),
    ("/retired_reason", "because"),
    ("/parent_node", SOME_UUID),
    ("/driver_info/deploy_ramdisk", "http://user:pw@x/y"),
    ("/driver_info/deploy_ramdisk", "http://[::1"),
    ("/driver_info/deploy_ramdisk", "http://[zz]/"),
    ("/driver_info/deploy_kernel", "http://h/" + "x" * 1024),
    ("/automated_clean", "perhaps"),
    ("/instance_info/kernel_append_params", "a;reboot{"),
    ("/description", "x" * 5000),
    ("/colour", "red"),
]


def change(path, value, op="replace"):
    return [{"op": op, "path": path, "value": value}]


@pytest.fixture
def node(api):
    return api.node(name="rack-1", extra={"a": 1}, driver_info={"ipmi_password": "x"})


def test_a_patched_node_comes_back_whole(api, node) -> None:
    answer = api.patch("/v1/nodes/rack-1", change("/extra/a", 2))
    assert answer.status_code == 200
    assert answer.json["extra"] == {"a": 2}
    assert answer.json["updated_at"] is not None
    assert api.get("/v1/nodes/rack-1").json == answer.json


@pytest.mark.parametrize(
    ("priorities", "said"),
    [
        ([], "is not an object"),
        ("deploy.erase_devices:0", "is not an object"),
        ({"erase_devices": 0}, "'erase_devices' is no step"),
        ({"deploy.erase_devices": -1}, "not a whole number"),
        ({"deploy.erase_devices": True}, "not a whole number"),
        ({"deploy.erase_devices": "soon"}, "not a whole number"),
    ],
)
def test_wrong_step_priorities_are_refused_when_they_are_written(
    api, node, priorities, said
) -> None:
    info = {"step_priorities": priorities}
    made = api.post("/v1/nodes", {"driver": "fake-hardware", "driver_info": info})
    answer = api.patch(
        "/v1/nodes/rack-1", change("/driver_info/step_priorities", priorities, "add")
    )
    for refused in (made, answer):
        assert refused.status_code == 400
        assert f"driver_info/step_priorities{'' if 'object' in said else ':'} " in api.fault(
            refused
        )
        assert said in api.fault(refused)
    assert api.get("/v1/nodes/rack-1").json == node


def test_right_step_priorities_are_taken(api, node) -> None:
    wanted = {"deploy.erase_devices": 0, "raid.delete_configuration": "20"}
    answer = api.patch("/v1/nodes/rack-1", change("/driver_info/step_priorities", wanted, "add"))
    assert answer.json["driver_info"]["step_priorities"] == wanted
    unset = api.patch("/v1/nodes/rack-1", change("/driver_info/step_priorities", None))
    assert unset.status_code == 200


def test_an_empty_patch_changes_nothing(api, node, sql) -> None:
    sql.clear()
    answer = api.patch("/v1/nodes/rack-1", [])
    assert (answer.status_code, answer.json["updated_at"]) == (200, None)
    assert not [s for s in sql.statements if s.startswith("UPDATE")]


@pytest.mark.parametrize("becomes", [True, 1.0])
def test_numbers_and_truths_are_not_the_same(api, node, becomes) -> None:
    assert api.patch("/v1/nodes/rack-1", change("/extra/a", becomes)).json["updated_at"]
    # As text: Python compares like the code that is tested.
    assert repr(api.get("/v1/nodes/rack-1").json["extra"]["a"]) == repr(becomes)


def test_a_secret_survives_a_patch_of_its_neighbour(api, node, store) -> None:
    api.patch("/v1/nodes/rack-1", change("/driver_info/ipmi_address", "192.0.2.1", "add"))
    from sqlalchemy import select

    from drophammer.model import Node

    with store.read() as session:
        info = session.execute(select(Node.driver_info)).scalar_one()
    assert info == {"ipmi_password": "x", "ipmi_address": "192.0.2.1"}


def test_a_wrong_change_is_400(api, node) -> None:
    for path, value in WRONG_CHANGES:
        answer = api.patch("/v1/nodes/rack-1", change(path, value, "add"))
        assert answer.status_code == 400, path


def test_a_node_cannot_be_its_own_parent(api, node) -> None:
    assert api.patch("/v1/nodes/rack-1", change("/parent_node", node["uuid"])).status_code == 400


def test_the_driver_cannot_be_removed(api, node) -> None:
    answer = api.patch("/v1/nodes/rack-1", [{"op": "remove", "path": "/driver"}])
    assert answer.status_code == 400


def test_a_field_newer_than_the_version_is_406(api, node) -> None:
    assert api.at("1.49").patch("/v1/nodes/rack-1", change("/owner", "x")).status_code == 406


def test_a_name_in_use_is_409(api, node) -> None:
    api.node(name="rack-2")
    assert api.patch("/v1/nodes/rack-2", change("/name", "rack-1")).status_code == 409


def test_states_on_the_way_somewhere_refuse_changes(api, node) -> None:
    for state in STATES:
        api.set(node["uuid"], provision_state=state, target_provision_state="active")
        answer = api.at("1.31").patch("/v1/nodes/rack-1", change("/extra/b", 1, "add"))
        assert answer.status_code == (200 if state in PATCHABLE_WITH_TARGET else 409), state


def test_an_inspected_node_refuses_changes_from_1_39(api, node) -> None:
    api.set(node["uuid"], provision_state="inspecting", target_provision_state="manageable")
    assert api.at("1.38").patch("/v1/nodes/rack-1", change("/extra/a", 2)).status_code == 200
    assert api.at("1.39").patch("/v1/nodes/rack-1", change("/extra/a", 3)).status_code == 409


def test_the_instance_may_always_be_taken_off_a_node_in_maintenance(api, node) -> None:
    api.set(
        node["uuid"],
        provision_state="deploying",
        target_provision_state="active",
        maintenance=True,
        instance_uuid=SOME_UUID,
    )
    answer = api.patch("/v1/nodes/rack-1", [{"op": "remove", "path": "/instance_uuid"}])
    assert (answer.status_code, answer.json["instance_uuid"]) == (200, None)


def test_an_instance_is_not_overwritten(api, node) -> None:
    first, second = SOME_UUID, SOME_UUID.replace("6", "7")
    assert api.patch("/v1/nodes/rack-1", change("/instance_uuid", first)).status_code == 200
    answer = api.patch("/v1/nodes/rack-1", change("/instance_uuid", second))
    assert answer.status_code == 409
    assert first in api.fault(answer)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/boot_interface", "ipxe"),
        ("/resource_class", "other"),
        ("/driver", "fake-other"),
        ("/owner", "me"),
    ],
)
def test_what_an_active_node_does_not_let_change(api, node, path, value) -> None:
    api.set(node["uuid"], provision_state="active", resource_class="big", console_enabled=True)
    assert api.patch("/v1/nodes/rack-1", change(path, value, "add")).status_code == 409


def test_only_active_nodes_can_be_protected(api, node) -> None:
    both = change("/protected", True) + change("/protected_reason", "mine", "add")
    assert api.patch("/v1/nodes/rack-1", both).status_code == 409
    api.set(node["uuid"], provision_state="active")
    assert api.patch("/v1/nodes/rack-1", both).json["protected_reason"] == "mine"
    undone = api.patch("/v1/nodes/rack-1", change("/protected", False)).json
    assert (undone["protected"], undone["protected_reason"]) == (False, None)


def test_an_available_node_cannot_be_retired(api, node) -> None:
    api.set(node["uuid"], provision_state="available")
    assert api.patch("/v1/nodes/rack-1", change("/retired", True)).status_code == 409


def test_unsetting_maintenance_forgets_reason_and_fault(api, node) -> None:
    api.set(node["uuid"], maintenance=True, maintenance_reason="x", fault="clean failure")
    shown = api.patch("/v1/nodes/rack-1", change("/maintenance", False)).json
    assert (shown["maintenance_reason"], shown["fault"]) == (None, None)


def test_the_display_name_becomes_the_instance_name(api, node) -> None:
    shown = api.patch("/v1/nodes/rack-1", change("/instance_info/display_name", "web", "add"))
    assert shown.json["instance_name"] == "web"


def test_a_null_interface_is_the_default_again(api, node, netboot) -> None:
    api.patch("/v1/nodes/rack-1", change("/boot_interface", "ipxe"))
    assert netboot.next() == ("refresh", {})
    shown = api.patch("/v1/nodes/rack-1", change("/boot_interface", None))
    assert shown.json["boot_interface"] == "fake"
    removed = api.patch("/v1/nodes/rack-1", [{"op": "remove", "path": "/boot_interface"}])
    assert removed.json["boot_interface"] == "fake"


def test_a_new_driver_must_have_the_interfaces(api, node) -> None:
    answer = api.patch("/v1/nodes/rack-1", change("/driver", "ipmi"))
    assert answer.status_code == 400
    assert "interface 'fake'" in api.fault(answer)


def test_a_new_driver_may_bring_its_own_interfaces(api, node) -> None:
    answer = api.patch("/v1/nodes/rack-1?reset_interfaces=true", change("/driver", "ipmi"))
    assert answer.status_code == 200
    assert answer.json["power_interface"] == "ipmitool"


def test_interfaces_are_reset_with_a_new_driver_only(api, node) -> None:
    answer = api.patch("/v1/nodes/rack-1?reset_interfaces=true", change("/extra/a", 2))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", change("/extra/a", 2)),
        ("DELETE", "", None),
        ("PUT", "/maintenance", {"reason": "x"}),
        ("DELETE", "/maintenance", None),
    ],
)
def test_a_held_node_refuses_changes_naming_the_holder(api, node, method, path, body) -> None:
    api.lease(node["uuid"])
    answer = api.call(method, f"/v1/nodes/rack-1{path}", body)
    assert answer.status_code == 409
    assert api.fault(answer).startswith(
        f"Node {node['uuid']} is locked by host conductor-7, please retry after the current "
        "operation is completed."
    )


def test_a_change_waits_a_little_for_the_holder(settings, store, bus, api, node) -> None:
    import dataclasses

    from api.app import create_app

    api.lease(node["uuid"])
    patient = dataclasses.replace(settings, locked_attempts=3000, locked_pause=0.02)
    client = create_app(patient, store, bus).test_client()
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(
            client.put(f"/v1/nodes/{node['uuid']}/maintenance").status_code
        )
    )
    waiting.start()
    api.set(node["uuid"], lease_owner=None)
    waiting.join(PATIENCE)
    assert answers == [202]


def test_eight_patches_at_once_lose_nothing(settings, store, bus, api, node) -> None:
    from api.app import create_app

    app = create_app(settings, store, bus)
    start = threading.Barrier(8)
    statuses = []

    def add(number: int) -> None:
        client = app.test_client()
        start.wait()
        for round_ in range(5):
            key = f"/extra/k{number}_{round_}"
            body = change(key, number, "add")
            statuses.append(client.patch(f"/v1/nodes/{node['uuid']}", json=body).status_code)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert len(api.get("/v1/nodes/rack-1").json["extra"]) == 41


def test_maintenance_is_set_and_unset(api, node, store) -> None:
    answer = api.put("/v1/nodes/rack-1/maintenance", {"reason": "new fan"})
    assert (answer.status_code, answer.data) == (202, b"")
    shown = api.get("/v1/nodes/rack-1").json
    assert (shown["maintenance"], shown["maintenance_reason"]) == (True, "new fan")
    api.set(node["uuid"], fault="clean failure")
    assert api.delete("/v1/nodes/rack-1/maintenance").status_code == 202
    shown = api.get("/v1/nodes/rack-1").json
    assert (shown["maintenance"], shown["maintenance_reason"], shown["fault"]) == (
        False,
        None,
        None,
    )


def test_maintenance_needs_no_body(api, node) -> None:
    assert api.put("/v1/nodes/rack-1/maintenance").status_code == 202
    assert api.put("/v1/nodes/rack-1/maintenance", {"why": "x"}).status_code == 400
    assert api.put("/v1/nodes/rack-1/maintenance", {"reason": "x" * 5000}).status_code == 400
    assert api.put("/v1/nodes/nobody/maintenance").status_code == 404


@pytest.mark.parametrize(("word", "meant"), [("True", True), ("False", False), ("on", True)])
def test_command_lines_send_yes_and_no_as_texts(api, node, word, meant) -> None:
    for field in ("maintenance", "automated_clean", "retired"):
        answer = api.patch("/v1/nodes/rack-1", change(f"/{field}", word, "add"))
        assert (answer.status_code, answer.json.get(field)) == (200, meant)


def test_a_patch_of_millions_of_nothings_is_refused(api, node) -> None:
    assert api.patch("/v1/nodes/rack-1", "[" + "{}," * 60_000 + "{}]").status_code == 400


def test_what_is_written_back_as_it_was_shown_keeps_its_secrets(api, node, store) -> None:
    path = f"/v1/nodes/{node['uuid']}"
    info = {"ipmi_password": "hidden", "ipmi_address": "10.0.0.1"}
    shown = api.patch(path, [{"op": "replace", "path": "/driver_info", "value": info}]).json
    changed = {**shown["driver_info"], "ipmi_address": "10.0.0.2"}
    assert changed["ipmi_password"] == "******"
    step = {"op": "replace", "path": "/driver_info", "value": changed}
    assert api.patch(path, [step]).status_code == 200
    with store.read() as session:
        kept = session.scalars(select(Node.driver_info).where(Node.uuid == node["uuid"])).one()
    assert kept == {"ipmi_password": "hidden", "ipmi_address": "10.0.0.2"}


def test_nodes_are_not_each_others_parents(api) -> None:
    first = api.node()
    second = api.node(parent_node=first["uuid"])
    third = api.node(parent_node=second["uuid"])
    step = {"op": "add", "path": "/parent_node", "value": third["uuid"]}
    refused = api.patch(f"/v1/nodes/{first['uuid']}", [step])
    assert refused.status_code == 400
    assert "parent" in api.fault(refused)
    assert api.delete(f"/v1/nodes/{first['uuid']}").status_code == 204
    assert api.get(f"/v1/nodes/{second['uuid']}").json["parent_node"] is None


def test_the_console_interface_stays_while_the_console_is_on(api, node) -> None:
    api.set(node["uuid"], console_enabled=True)
    step = {"op": "add", "path": "/console_interface", "value": "noop"}
    refused = api.patch(f"/v1/nodes/{node['uuid']}", [step])
    assert refused.status_code == 409
    assert "console" in api.fault(refused)
