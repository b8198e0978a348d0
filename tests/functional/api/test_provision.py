"""Verbs, power, boot device and validation: what reaches the conductor, and what does not."""

from __future__ import annotations

import datetime

import pytest
from sqlalchemy import update

from drophammer.errors import BmcUnreachable, Invalid, NodeLocked, Unavailable
from drophammer.model import Conductor
from drophammer.states import STATES, VERBS, verb_allowed

STEP = {"interface": "deploy", "step": "erase_devices"}
DEPLOY_STEP = {**STEP, "args": {}, "priority": 50}
EXTRA = {
    "clean": {"clean_steps": [STEP]},
    "service": {"service_steps": [STEP]},
    "rescue": {"rescue_password": "pw"},
}
STATES_URL = "http://localhost/v1/nodes/rack-1/states"
COMPANIONS = [
    ("active", "available", {"configdrive": "!!"}, 115, 400),
    ("active", "available", {"configdrive": "QUJ"}, 1, 400),
    ("active", "available", {"configdrive": "=QUJ"}, 1, 400),
    ("active", "available", {"configdrive": "  "}, 1, 400),
    ("active", "available", {"configdrive": "QUJD\nQUI=\n"}, 1, 202),
    ("active", "available", {"configdrive": "ftp://x/y"}, 1, 400),
    ("active", "available", {"configdrive": "file:///etc/passwd"}, 1, 400),
    ("active", "available", {"configdrive": "http://[::1"}, 1, 400),
    ("active", "available", {"configdrive": "http:///x"}, 1, 400),
    ("active", "available", {"configdrive": "http://x/y"}, 1, 202),
    ("active", "available", {"configdrive": ""}, 1, 202),
    ("active", "available", {"configdrive": {"meta_data": {}}}, 55, 400),
    ("active", "available", {"configdrive": {"vendor_data": {}}}, 58, 400),
    ("active", "available", {"configdrive": {"colour": {}}}, 115, 400),
    ("active", "available", {"configdrive": 5}, 115, 400),
    ("deploy", "available", {"configdrive": "QUJD"}, 115, 400),
    ("rebuild", "active", {"configdrive": "QUJD"}, 34, 400),
    ("rebuild", "active", {"configdrive": "QUJD"}, 35, 202),
    ("manage", "enroll", {"configdrive": "QUJD"}, 115, 400),
    ("clean", "manageable", {}, 115, 400),
    ("clean", "manageable", {"clean_steps": []}, 115, 400),
    ("clean", "manageable", {"clean_steps": [{"step": "x"}]}, 115, 400),
    ("clean", "manageable", {"clean_steps": [{**STEP, "interface": "x"}]}, 115, 400),
    ("clean", "manageable", {"clean_steps": [{**STEP, "colour": 1}]}, 115, 400),
    (
        "clean",
        "manageable",
        {"clean_steps": [{"interface": "vendor", "step": "send_raw"}]},
        115,
        400,
    ),
    ("provide", "manageable", {"clean_steps": [STEP]}, 115, 400),
    ("active", "available", {"deploy_steps": [DEPLOY_STEP]}, 68, 406),
    ("active", "available", {"deploy_steps": [STEP]}, 115, 400),
    ("manage", "enroll", {"deploy_steps": [DEPLOY_STEP]}, 115, 400),
    ("service", "active", {}, 115, 400),
    ("rescue", "active", {}, 115, 400),
    ("rescue", "active", {"rescue_password": "  "}, 115, 400),
    ("manage", "enroll", {"rescue_password": "x"}, 115, 400),
    ("clean", "manageable", {"clean_steps": [STEP], "disable_ramdisk": True}, 69, 406),
    ("clean", "manageable", {"clean_steps": [STEP], "disable_ramdisk": True}, 70, 202),
    ("service", "active", {"service_steps": [STEP], "disable_ramdisk": True}, 107, 406),
    ("manage", "enroll", {"disable_ramdisk": True}, 115, 400),
    ("clean", "manageable", {"runbook": "r", "clean_steps": [STEP]}, 115, 400),
    ("clean", "manageable", {"runbook": "r"}, 115, 404),
    ("clean", "manageable", {"runbook": "r"}, 91, 406),
    ("clean", "manageable", {"runbook": "a/b"}, 115, 400),
    ("clean", "manageable", {"runbook": ""}, 115, 400),
    ("manage", "enroll", {"runbook": "r"}, 115, 400),
    ("clean", "manageable", {"clean_steps": []}, 115, 400),
    ("manage", "enroll", {"colour": "red"}, 115, 400),
    ("flying", "enroll", {}, 115, 400),
]


@pytest.fixture
def node(api):
    return api.node(name="rack-1")


def ask(api, target, **body):
    return api.put("/v1/nodes/rack-1/states/provision", {"target": target, **body})


def test_a_verb_reaches_the_conductor_and_is_accepted(api, node, conductor) -> None:
    answer = ask(api, "manage")
    assert (answer.status_code, answer.data) == (202, b"")
    assert "Content-Type" not in answer.headers
    assert answer.headers["Location"] == STATES_URL
    method, sent = conductor.next()
    assert (method, sent["target"]) == ("provision", "manage")
    request_id = answer.headers["openstack-request-id"]
    assert sent["request"] == {"user": None, "request_id": request_id}
    assert isinstance(sent["node_id"], int)


@pytest.mark.parametrize("target", sorted(VERBS))
def test_a_verb_passes_in_its_states_only(api, node, conductor, target) -> None:
    for state in STATES:
        api.set(node["uuid"], provision_state=state)
        answer = ask(api, target, **EXTRA.get(target, {}))
        if verb_allowed(target, state):
            assert answer.status_code == 202, state
            assert conductor.next()[1]["target"] == target
        else:
            assert answer.status_code == 400, state
            said = api.fault(answer)
            assert all(part in said for part in (target, node["uuid"], f'"{state}"'))
            assert conductor.nothing_came()


@pytest.mark.parametrize(
    ("target", "version", "state"),
    [
        ("manage", "1.3", "enroll"),
        ("inspect", "1.5", "manageable"),
        ("clean", "1.14", "manageable"),
        ("deploy", "1.72", "available"),
        ("adopt", "1.16", "manageable"),
        ("rescue", "1.37", "active"),
        ("unhold", "1.84", "deploy hold"),
        ("service", "1.86", "active"),
        ("abort", "1.12", "clean wait"),
        ("abort", "1.40", "inspect wait"),
        ("abort", "1.109", "wait call-back"),
    ],
)
def test_a_verb_newer_than_the_version_is_406(api, node, target, version, state) -> None:
    api.set(node["uuid"], provision_state=state)
    body = {"target": target, **EXTRA.get(target, {})}
    path = f"/v1/nodes/{node['uuid']}/states/provision"
    assert api.at(version).put(path, body).status_code == 406


@pytest.mark.parametrize("target", ["unhold", "service"])
def test_the_version_of_late_verbs_counts_after_the_state(api, node, target) -> None:
    body = {"target": target, **EXTRA.get(target, {})}
    answer = api.at("1.84").put(f"/v1/nodes/{node['uuid']}/states/provision", body)
    assert answer.status_code == 400


def test_undeploy_is_for_every_version(api, node) -> None:
    api.set(node["uuid"], provision_state="active")
    path = f"/v1/nodes/{node['uuid']}/states/provision"
    assert api.at("1.1").put(path, {"target": "undeploy"}).status_code == 202


def test_a_wrong_state_of_a_held_node_is_409_at_once(api, node) -> None:
    api.lease(node["uuid"])
    answer = ask(api, "provide")
    assert answer.status_code == 409
    assert "is locked by host conductor-7" in api.fault(answer)


@pytest.mark.parametrize("target", ["active", "deploy", "rebuild"])
def test_a_node_in_maintenance_is_not_deployed(api, node, target) -> None:
    api.set(node["uuid"], provision_state="deploy failed", maintenance=True)
    answer = ask(api, target)
    assert answer.status_code == 400
    assert "maintenance" in api.fault(answer)


def test_what_goes_with_a_deployment_reaches_the_conductor(api, node, conductor) -> None:
    api.set(node["uuid"], provision_state="available")
    drive = {"meta_data": {"a": 1}, "user_data": "x", "vendor_data": {"b": 2}}
    answer = ask(api, "active", configdrive=drive, deploy_steps=[DEPLOY_STEP], runbook=None)
    assert answer.status_code == 202
    request = conductor.next()[1]["request"]
    request.pop("request_id")
    assert request == {"configdrive": drive, "deploy_steps": [DEPLOY_STEP], "user": None}


def test_a_large_config_drive_is_taken(api, node) -> None:
    api.set(node["uuid"], provision_state="available")
    assert ask(api, "active", configdrive="A" * (3 << 20)).status_code == 202


def test_what_may_go_with_a_verb(api, node) -> None:
    path = f"/v1/nodes/{node['uuid']}/states/provision"
    for target, state, body, version, status in COMPANIONS:
        api.set(node["uuid"], provision_state=state)
        answer = api.at(f"1.{version}").put(path, {"target": target, **body})
        assert answer.status_code == status, (target, body, version, answer.text)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NodeLocked("Node x is locked by host y"), 409),
        (Invalid("no image_source"), 400),
        (Unavailable("no worker is free"), 503),
        (BmcUnreachable("192.0.2.1 is silent"), 500),
    ],
)
def test_the_conductors_refusal_is_passed_on(api, node, conductor, error, status) -> None:
    conductor.answers["provision"] = error
    answer = ask(api, "manage")
    assert answer.status_code == status
    assert api.fault(answer) == error.message


def test_without_a_conductor_a_verb_is_503(settings, store, bus, api, node) -> None:
    from api.app import create_app

    bus.close()
    client = create_app(settings, store, bus).test_client()
    path = f"/v1/nodes/{node['uuid']}/states/provision"
    newest = {"X-OpenStack-Ironic-API-Version": "latest"}
    assert client.put(path, json={"target": "manage"}, headers=newest).status_code == 503


@pytest.mark.parametrize(
    ("body", "version", "status"),
    [
        ({"target": "power on"}, 1, 202),
        ({"target": "power off"}, 1, 202),
        ({"target": "rebooting"}, 1, 202),
        ({"target": "soft power off", "timeout": 5}, 27, 202),
        ({"target": "soft rebooting"}, 26, 406),
        ({"target": "power on", "timeout": 5}, 26, 406),
        ({"target": "power on", "timeout": 0}, 115, 400),
        ({"target": "power on", "timeout": 10**30}, 115, 400),
        ({"target": "explode"}, 115, 400),
        ({"target": None}, 115, 400),
        ({}, 115, 400),
    ],
)
def test_power_requests(api, node, conductor, body, version, status) -> None:
    path = f"/v1/nodes/{node['uuid']}/states/power"
    answer = api.at(f"1.{version}").put(path, body)
    assert answer.status_code == status
    if status == 202:
        method, sent = conductor.next()
        assert method == "power"
        assert (sent["target"], sent["timeout"]) == (body["target"], body.get("timeout"))


@pytest.mark.parametrize("state", ["cleaning", "clean wait"])
def test_a_node_that_is_being_cleaned_keeps_its_power(api, node, state) -> None:
    api.set(node["uuid"], provision_state=state)
    assert api.put("/v1/nodes/rack-1/states/power", {"target": "power on"}).status_code == 400


def test_a_node_that_must_not_be_powered_off_is_not(api, node) -> None:
    api.set(node["uuid"], disable_power_off=True)
    for target, status in (("power off", 409), ("soft power off", 409), ("rebooting", 202)):
        answer = api.put("/v1/nodes/rack-1/states/power", {"target": target})
        assert answer.status_code == status


def test_validation_is_the_conductors(api, node, conductor) -> None:
    conductor.answers["validate"] = {"power": {"result": False, "reason": "no address"}}
    for path in ("/v1/nodes/rack-1/validate", "/v1/nodes/validate?node=rack-1"):
        answer = api.get(path)
        assert answer.status_code == 200
        assert answer.json == {"power": {"result": False, "reason": "no address"}}
    assert api.get("/v1/nodes/validate").status_code == 400
    assert api.get("/v1/nodes/nobody/validate").status_code == 404


def test_the_boot_device_is_read_and_set(api, node, conductor) -> None:
    path = "/v1/nodes/rack-1/management/boot_device"
    conductor.answers["get_boot_device"] = {"boot_device": "pxe", "persistent": False}
    conductor.answers["supported_boot_devices"] = ["pxe", "disk"]
    assert api.get(path).json == {"boot_device": "pxe", "persistent": False}
    assert api.get(f"{path}/supported").json == {"supported_boot_devices": ["pxe", "disk"]}
    assert api.put(path, {"boot_device": "disk", "persistent": True}).status_code == 204
    conductor.next(), conductor.next()
    method, sent = conductor.next()
    assert (method, sent["device"], sent["persistent"]) == ("set_boot_device", "disk", True)
    assert api.put(path, {}).status_code == 400


def test_drivers_and_conductors_are_those_that_run(api, store) -> None:
    drivers = api.get("/v1/drivers").json["drivers"]
    assert [driver["name"] for driver in drivers] == ["fake-hardware", "fake-other", "ipmi"]
    assert drivers[0]["hosts"] == ["conductor-1"]
    shown = api.get("/v1/drivers/ipmi").json
    assert shown["default_power_interface"] == "ipmitool"
    assert shown["enabled_management_interfaces"] == ["ipmitool", "noop"]
    assert "default_power_interface" not in api.at("1.29").get("/v1/drivers/ipmi").json
    assert "default_firmware_interface" not in api.at("1.85").get("/v1/drivers/ipmi").json
    assert api.get("/v1/drivers?detail=true").json["drivers"][2] == shown
    assert api.get("/v1/drivers?type=classic").json == {"drivers": []}
    assert api.get("/v1/drivers?type=odd").status_code == 400
    assert api.get("/v1/drivers/ipmi/properties").json == {
        "ipmi_address": "Address of the controller."
    }
    assert api.get("/v1/drivers/none").status_code == 404


def test_a_silent_conductor_is_not_alive_and_drives_nothing(settings, store, bus, api) -> None:
    from api.app import create_app

    long_ago = store.clock.now() - datetime.timedelta(minutes=2)
    with store.write() as session:
        session.execute(update(Conductor).values(seen_at=long_ago))
    client = create_app(settings, store, bus).test_client()
    newest = {"X-OpenStack-Ironic-API-Version": "latest"}
    shown = client.get("/v1/conductors/conductor-1", headers=newest).json
    assert (shown["alive"], shown["drivers"]) == (False, ["fake-hardware", "fake-other", "ipmi"])
    assert client.get("/v1/drivers", headers=newest).json == {"drivers": []}
    body = {"driver": "ipmi"}
    assert client.post("/v1/nodes", json=body, headers=newest).status_code == 400


def test_conductors_have_pages_by_host_name(api, store) -> None:
    from drophammer import conductors

    with store.write() as session:
        conductors.register(
            session,
            uuid="2" * 36,
            hostname="conductor-2",
            group="Lab",
            hardware_types={},
            now=store.clock.now(),
        )
    first = api.get("/v1/conductors?limit=1").json
    assert first["conductors"][0]["hostname"] == "conductor-1"
    second = api.get("/v1/conductors?limit=1&marker=conductor-1&fields=hostname").json
    assert [found["hostname"] for found in second["conductors"]] == ["conductor-2"]
    assert api.get("/v1/conductors/conductor-2").json["conductor_group"] == "lab"
    assert api.get("/v1/conductors/conductor-3").status_code == 404
    assert api.get("/v1/conductors?marker=conductor-3").status_code == 404


def test_of_several_lives_under_one_host_name_the_one_seen_last_is_shown(api, store) -> None:
    from drophammer import conductors

    now = store.clock.now()

    def life(uuid: str, group: str, seconds: float, driver: str) -> None:
        seen = now + datetime.timedelta(seconds=seconds)
        with store.write() as session:
            conductors.register(
                session,
                uuid=uuid * 36,
                hostname="conductor-2",
                group=group,
                hardware_types={driver: {"interfaces": {}, "properties": {}}},
                now=seen,
            )

    life("2", "dead", -500, "old")
    life("3", "lab", -2, "newer")
    life("4", "", -1, "newest")
    found = api.get("/v1/conductors").json["conductors"]
    assert [one["hostname"] for one in found] == ["conductor-1", "conductor-2"]
    shown = api.get("/v1/conductors/conductor-2").json
    assert (shown["alive"], shown["drivers"], shown["conductor_group"]) == (True, ["newest"], "")
    # Both that live can be used, and are one host.
    drivers = {one["name"]: one["hosts"] for one in api.get("/v1/drivers").json["drivers"]}
    assert (drivers["newer"], drivers["newest"]) == (["conductor-2"], ["conductor-2"])
    assert "old" not in drivers
    page = api.get("/v1/conductors?limit=1&marker=conductor-1").json
    assert [one["hostname"] for one in page["conductors"]] == ["conductor-2"]
    with store.write() as session:
        conductors.leave(session, "4" * 36)
    assert api.get("/v1/conductors/conductor-2").json["conductor_group"] == "lab"


def test_a_conductor_that_has_just_started_is_not_overlooked(api, store) -> None:
    from drophammer import conductors

    body = {"driver": "brand-new"}
    assert api.post("/v1/nodes", body).status_code == 400
    with store.write() as session:
        conductors.register(
            session,
            uuid="3" * 36,
            hostname="conductor-3",
            group="",
            hardware_types={"brand-new": {"interfaces": {}, "properties": {}}},
            now=store.clock.now(),
        )
    assert api.post("/v1/nodes", body).status_code == 201
