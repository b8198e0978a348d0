"""Console, RAID, boot mode, secure boot, interrupts and indicators: what reaches the conductor."""

from __future__ import annotations

import pytest

from drophammer.errors import BmcAuthFailed, BmcUnreachable, NodeLocked, NotFound, Unsupported
from drophammer.states import STATES, is_resting

NODE = "/v1/nodes/rack-1"
CHANGES = {
    "states/console": ({"enabled": True}, "set_console", {"enabled": True}, 202),
    "states/raid": (
        {"logical_disks": [{"size_gb": 1, "raid_level": "1"}]},
        "set_target_raid_config",
        {"config": {"logical_disks": [{"size_gb": 1, "raid_level": "1"}]}},
        204,
    ),
    "states/boot_mode": ({"target": "uefi"}, "set_boot_mode", {"mode": "uefi"}, 202),
    "states/secure_boot": ({"target": False}, "set_secure_boot", {"on": False}, 202),
    "management/inject_nmi": ({}, "inject_nmi", {}, 204),
    "management/indicators/led@system": (
        {"state": "blinking"},
        "set_indicator",
        {"name": "led", "component": "system", "state": "blinking"},
        204,
    ),
}
LOCATIONS = {
    "states/console": f"{NODE}/states/console",
    "states/boot_mode": f"{NODE}/states",
    "states/secure_boot": f"{NODE}/states",
}


@pytest.fixture(autouse=True)
def node(api):
    return api.node(name="rack-1")


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_reaches_the_conductor(api, conductor, path) -> None:
    body, method, arguments, status = CHANGES[path]
    answer = api.put(f"{NODE}/{path}", body)
    assert (answer.status_code, answer.data) == (status, b"")
    asked, sent = conductor.next()
    assert isinstance(sent.pop("node_id"), int)
    assert (asked, sent) == (method, arguments)
    if path in LOCATIONS:
        assert answer.headers["Location"].endswith(LOCATIONS[path])


@pytest.mark.parametrize("path", CHANGES)
def test_a_locked_node_is_409(api, conductor, path) -> None:
    body, method, _, _ = CHANGES[path]
    conductor.answers[method] = NodeLocked("Node x is locked by host y.")
    assert api.put(f"{NODE}/{path}", body).status_code == 409


@pytest.mark.parametrize(
    ("path", "status"), [(path, 404 if path == "states/raid" else 400) for path in CHANGES]
)
def test_what_the_driver_has_not_is_refused(api, conductor, path, status) -> None:
    body, method, _, _ = CHANGES[path]
    conductor.answers[method] = Unsupported("The driver does not support it.")
    refused = api.put(f"{NODE}/{path}", body)
    assert (refused.status_code, api.fault(refused)) == (status, "The driver does not support it.")


@pytest.mark.parametrize("error", [BmcUnreachable, BmcAuthFailed])
def test_hardware_that_fails_while_a_client_waits_is_500_in_its_own_words(
    api, conductor, error
) -> None:
    reads = {
        "management/boot_device": "get_boot_device",
        "management/indicators": "get_indicators",
        "management/indicators/led@system": "get_indicator",
        "states/console": "get_console",
        "vmedia": "get_vmedia",
        "vifs": "list_vifs",
        "vendor_passthru/x": "vendor_call",
    }
    asked = [("GET", path, None, method) for path, method in reads.items()]
    asked += [("PUT", path, body, method) for path, (body, method, _, _) in CHANGES.items()]
    asked += [("PUT", "management/boot_device", {"boot_device": "pxe"}, "set_boot_device")]
    for verb, path, body, method in asked:
        conductor.answers[method] = error("IPMI failed at BMC 192.0.2.1:623: no answer.")
        answer = api.call(verb, f"{NODE}/{path}", body)
        assert answer.status_code == 500, path
        assert api.fault(answer) == "IPMI failed at BMC 192.0.2.1:623: no answer."


@pytest.mark.parametrize("path", CHANGES)
def test_an_unknown_node_is_404(api, conductor, path) -> None:
    answer = api.put(f"/v1/nodes/nobody/{path}", CHANGES[path][0])
    assert answer.status_code == 404
    assert conductor.nothing_came()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("states/console", None),
        ("states/console", {}),
        ("states/console", {"enabled": None}),
        ("states/console", {"enabled": "maybe"}),
        ("states/console", {"enabled": True, "x": 1}),
        ("states/raid", None),
        ("states/raid", []),
        ("states/raid", {"logical_disks": []}),
        ("states/raid", {"logical_disks": [1]}),
        ("states/raid", {"disks": []}),
        ("states/boot_mode", {}),
        ("states/boot_mode", {"target": "UEFI"}),
        ("states/boot_mode", {"target": None}),
        ("states/secure_boot", {"target": 1}),
        ("states/secure_boot", {"target": "x"}),
        ("management/inject_nmi", {"x": 1}),
        ("management/inject_nmi", []),
        ("management/indicators/led@system", {"state": "red"}),
        ("management/indicators/led@system", None),
    ],
)
def test_a_wrong_body_is_400(api, conductor, path, body) -> None:
    assert api.put(f"{NODE}/{path}", body).status_code == 400
    assert conductor.nothing_came()


@pytest.mark.parametrize("word", ["true", "ON", "1"])
def test_command_lines_say_yes_in_words(api, conductor, word) -> None:
    assert api.put(f"{NODE}/states/console", {"enabled": word}).status_code == 202
    assert conductor.next()[1]["enabled"] is True
    assert api.put(f"{NODE}/states/secure_boot", {"target": word}).status_code == 202
    assert conductor.next()[1]["on"] is True


def test_an_empty_raid_configuration_is_one(api, conductor) -> None:
    assert api.put(f"{NODE}/states/raid", {}).status_code == 204
    assert conductor.next()[1]["config"] == {}


def test_an_interrupt_needs_no_body(api) -> None:
    assert api.put(f"{NODE}/management/inject_nmi").status_code == 204


@pytest.mark.parametrize("path", ["states/boot_mode", "states/secure_boot"])
def test_firmware_is_left_alone_while_something_goes_on(api, node, conductor, path) -> None:
    for state in STATES:
        api.set(node["uuid"], provision_state=state)
        answer = api.put(f"{NODE}/{path}", CHANGES[path][0])
        assert answer.status_code == (202 if is_resting(state) else 409), state
        assert is_resting(state) or state in api.fault(answer)


@pytest.mark.parametrize(
    ("path", "below", "status"),
    [
        ("states/raid", "1.11", 406),
        ("states/boot_mode", "1.75", 404),
        ("states/secure_boot", "1.75", 404),
        ("management/inject_nmi", "1.28", 404),
        ("management/indicators/led@system", "1.62", 404),
    ],
)
def test_an_old_version_has_none_of_it(api, conductor, path, below, status) -> None:
    assert api.at(below).put(f"{NODE}/{path}", CHANGES[path][0]).status_code == status
    assert conductor.nothing_came()


def test_the_console_is_shown_without_its_password(api, conductor) -> None:
    told = {"type": "vnc", "url": "vnc://192.0.2.1", "password": "hunter2"}
    conductor.answers["get_console"] = {"console_enabled": True, "console_info": told}
    answer = api.get(f"{NODE}/states/console")
    assert answer.json == {
        "console_enabled": True,
        "console_info": {**told, "password": "******"},
    }
    conductor.answers["get_console"] = Unsupported("no console")
    assert api.get(f"{NODE}/states/console").status_code == 400


def test_indicators_are_listed_with_both_names(api, node, conductor) -> None:
    conductor.answers["get_indicators"] = [
        {"name": "led", "component": "system", "readonly": False, "states": ["on", "off"]}
    ]
    (found,) = api.get(f"{NODE}/management/indicators").json["indicators"]
    link = found.pop("links")[0]["href"]
    assert link.endswith(f"/v1/nodes/{node['uuid']}/management/indicators/led@system")
    assert found == {
        "name": "led@system",
        "component": "system",
        "readonly": False,
        "states": ["on", "off"],
    }


def test_an_indicator_is_read(api, conductor) -> None:
    conductor.answers["get_indicator"] = "on"
    assert api.get(f"{NODE}/management/indicators/led@system").json == {"state": "on"}
    method, sent = conductor.next()
    assert (method, sent["name"], sent["component"]) == ("get_indicator", "led", "system")
    conductor.answers["get_indicator"] = NotFound("no such light")
    assert api.get(f"{NODE}/management/indicators/x@y").status_code == 404
    assert api.get(f"{NODE}/management/indicators/led").status_code == 404


def test_logical_disk_properties_are_those_of_the_driver(api, conductor) -> None:
    path = "/v1/drivers/fake-hardware/raid/logical_disk_properties"
    conductor.answers["raid_logical_disk_properties"] = {"size_gb": "How large."}
    assert api.get(path).json == {"size_gb": "How large."}
    assert conductor.next()[1] == {"driver": "fake-hardware"}
    conductor.answers["raid_logical_disk_properties"] = Unsupported("no RAID")
    assert api.get(path).status_code == 404
    assert api.get("/v1/drivers/none/raid/logical_disk_properties").status_code == 404
    assert api.at("1.11").get(path).status_code == 406
