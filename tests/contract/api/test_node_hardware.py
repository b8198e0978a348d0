"""What is below a node, over HTTP, down to the fake hardware and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.contract.api.service import Service
from tests.patience import PATIENCE

LATEST = {"X-OpenStack-Ironic-API-Version": "latest"}


class Wire:
    """One node on one service."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers.update(LATEST)
        made = self.ask("POST", "/v1/nodes", {"driver": "fake-hardware"}, 201)
        self.uuid = made["uuid"]

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=PATIENCE)
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def node(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        return self.ask(method, f"/v1/nodes/{self.uuid}/{path}", body, status)

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The node as soon as nobody holds it and ``holds`` is true of it."""
        end = time.monotonic() + PATIENCE
        while True:
            shown: dict[str, Any] = self.ask("GET", f"/v1/nodes/{self.uuid}")
            if shown["reservation"] is None and holds(shown):
                return shown
            assert time.monotonic() < end, shown
            time.sleep(0.02)

    def move(self, target: str, state: str, **more: Any) -> dict[str, Any]:
        self.node("PUT", "states/provision", {"target": target, **more}, 202)
        return self.until(lambda node: bool(node["provision_state"] == state))


@pytest.fixture
def wire(noauth: Service) -> Wire:
    return Wire(noauth.url)


def test_the_console_goes_on_and_off(wire: Wire) -> None:
    off = {"console_enabled": False, "console_info": None}
    wire.ask(
        "PATCH",
        f"/v1/nodes/{wire.uuid}",
        [{"op": "add", "path": "/console_interface", "value": "fake"}],
    )
    assert wire.node("GET", "states/console") == off
    wire.node("PUT", "states/console", {"enabled": True}, 202)
    wire.until(lambda node: bool(node["console_enabled"]))
    assert wire.node("GET", "states/console")["console_info"]
    wire.node("PUT", "states/console", {"enabled": False}, 202)
    wire.until(lambda node: not node["console_enabled"])
    assert wire.node("GET", "states/console") == off


def test_a_raid_configuration_is_kept_and_wrong_ones_are_refused(wire: Wire) -> None:
    wire.ask(
        "PATCH",
        f"/v1/nodes/{wire.uuid}",
        [{"op": "add", "path": "/raid_interface", "value": "fake"}],
    )
    config = {"logical_disks": [{"size_gb": 100, "raid_level": "1", "is_root_volume": True}]}
    wire.node("PUT", "states/raid", config, 204)
    assert wire.node("GET", "states")["target_raid_config"] == config
    wire.node("PUT", "states/raid", {"logical_disks": [{"raid_level": "nine"}]}, 400)
    wire.node("PUT", "states/raid", {}, 204)
    assert wire.node("GET", "states")["target_raid_config"] == {}
    told = wire.ask("GET", "/v1/drivers/fake-hardware/raid/logical_disk_properties")
    assert {"size_gb", "raid_level"} <= set(told)


def test_boot_mode_and_secure_boot_change(wire: Wire) -> None:
    wire.node("PUT", "states/boot_mode", {"target": "uefi"}, 202)
    wire.until(lambda node: bool(node["boot_mode"] == "uefi"))
    wire.node("PUT", "states/secure_boot", {"target": True}, 202)
    wire.until(lambda node: bool(node["secure_boot"]))
    assert wire.node("GET", "states")["secure_boot"] is True


def test_vendor_methods_are_called_in_both_ways(wire: Wire) -> None:
    methods = wire.node("GET", "vendor_passthru/methods")
    assert methods
    for name, told in methods.items():
        assert {"http_methods", "async", "attach"} <= set(told)
        for http in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(told["http_methods"]):
            wire.node(http, f"vendor_passthru/{name}", {}, 400)
            wire.node(http, f"vendor_passthru?method={name}", {}, 400)
    wire.node("POST", "vendor_passthru/nothing", {}, 400)
    assert wire.node("POST", "vendor_passthru/third_method_sync", {"bar": "meow"}) is not None
    wire.node("POST", "vendor_passthru?method=third_method_sync", {"bar": "meow"})
    wire.node("POST", "vendor_passthru/second_method", {"bar": "kazoo"}, 202)
    wire.node("POST", "vendor_passthru/second_method", {"bar": "trumpet"}, 400)
    echo = {"method": "DELETE", "arguments": {"a": 1}}
    assert wire.node("DELETE", "vendor_passthru?method=echo", {"a": 1}) == echo
    driver = "/v1/drivers/fake-hardware/vendor_passthru"
    assert "echo" in wire.ask("GET", f"{driver}/methods")
    assert wire.ask("DELETE", f"{driver}/echo", {"a": 1}) == echo
    wire.ask("POST", f"{driver}/nothing", {}, 400)


def test_vifs_are_attached_to_ports_and_detached(wire: Wire) -> None:
    vif = "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55"
    wire.node("POST", "vifs", {"id": vif}, 400)
    mac = f"52:54:00:{wire.uuid[0:2]}:{wire.uuid[2:4]}:{wire.uuid[4:6]}"
    wire.ask("POST", "/v1/ports", {"node_uuid": wire.uuid, "address": mac}, 201)
    wire.node("POST", "vifs", {"id": vif}, 204)
    assert wire.node("GET", "vifs") == {"vifs": [{"id": vif}]}
    wire.node("POST", "vifs", {"id": vif}, 409)
    wire.node("DELETE", f"vifs/{vif}", None, 204)
    assert wire.node("GET", "vifs") == {"vifs": []}
    wire.node("DELETE", f"vifs/{vif}", None, 400)


def test_virtual_media_come_and_go(wire: Wire) -> None:
    image = {"device_type": "cdrom", "image_url": "http://192.0.2.1/tools.iso"}
    before = wire.node("GET", "vmedia")
    wire.node("POST", "vmedia", image, 204)
    wire.until(lambda node: True)
    attached = wire.node("GET", "vmedia")
    assert attached != before
    wire.node("DELETE", "vmedia?device_types=cdrom", None, 204)
    wire.until(lambda node: True)
    assert wire.node("GET", "vmedia") == before


def test_lights_and_interrupts(wire: Wire) -> None:
    (found, *_) = wire.node("GET", "management/indicators")["indicators"]
    path = f"management/indicators/{found['name']}"
    assert wire.node("GET", path)["state"] in ("on", "off", "blinking", "unknown")
    wire.node("PUT", path, {"state": "blinking"}, 204)
    assert wire.node("GET", path) == {"state": "blinking"}
    wire.node("GET", "management/indicators/no@thing", None, 404)
    wire.node("PUT", "management/inject_nmi", {}, 204)


def test_bios_settings_firmware_and_history_are_there_after_verification(wire: Wire) -> None:
    interfaces = [
        {"op": "add", "path": f"/{kind}_interface", "value": "fake"}
        for kind in ("bios", "firmware")
    ]
    wire.ask("PATCH", f"/v1/nodes/{wire.uuid}", interfaces)
    wire.move("manage", "manageable")
    settings = wire.node("GET", "bios?detail=true")["bios"]
    assert settings
    name = settings[0]["name"]
    assert wire.node("GET", f"bios/{name}") == {name: settings[0]}
    firmware = wire.node("GET", "firmware")["firmware"]
    assert {"bios", "bmc"} <= {one["component"].lower() for one in firmware}
    history = wire.node("GET", "history?detail=true")["history"]
    assert [one["severity"] for one in history] == ["INFO"]
    assert wire.node("GET", f"history/{history[0]['uuid']}") == history[0]


def test_a_trait_is_what_a_runbook_asks_for(wire: Wire) -> None:
    trait = f"CUSTOM_{wire.uuid.replace('-', '').upper()}"
    steps = [{"interface": "power", "step": "reboot", "order": 1}]
    made = wire.ask("POST", "/v1/runbooks", {"name": trait, "steps": steps}, 201)
    wire.ask("PUT", f"/v1/runbooks/{made['uuid']}/traits/{trait}", None, 204)
    wire.move("manage", "manageable")
    body = {"target": "clean", "runbook": made["uuid"]}
    wire.node("PUT", "states/provision", body, 400)
    wire.node("PUT", f"traits/{trait}", None, 204)
    wire.move("clean", "manageable", runbook=trait)
