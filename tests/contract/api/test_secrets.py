"""A canary in every place that may hold a secret: none is ever seen again.

Over the whole service: every answer of every route, every log line, every history
entry, event and operation, after a life with failures in it.
"""

from __future__ import annotations

import base64
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from api.routes import ROUTES
from tests.contract.api.canaries import Canaries, Client
from tests.contract.api.service import Service, add_user, running
from tests.patience import PATIENCE

USER = "canary-user"
MAC = "52:54:00:00:00:77"
RESTING = frozenset(
    {
        "enroll", "manageable", "available", "active", "rescue", "clean failed", "deploy failed",
        "service failed", "rescue failed", "inspect failed", "error",
    }
)  # fmt: skip
# What vendors' programs answer is theirs; the rest is named by what lies above.
NAMES = {"method": "report", "component": "system", "name": "led", "setting": "BootMode"}


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    more = "log_level = DEBUG\n"
    with running("http_basic", tmp_path_factory.mktemp("secrets") / "service", more) as made:
        yield made


@pytest.fixture(scope="module")
def client(service: Service, canaries: Canaries) -> Client:
    password = canaries.at("password of a user")
    add_user(service.users, USER, password)
    return Client(service.url, USER, password)


class Life:
    """One node, driven through its life; the steps may fail."""

    def __init__(self, client: Client, canaries: Canaries) -> None:
        self.client = client
        self.put_in = canaries.at
        at = canaries.at
        status, node = client.send(
            "POST",
            "/v1/nodes",
            {
                "driver": "fake-hardware",
                "name": "secretive",
                "resource_class": "big",
                "driver_info": {
                    "ipmi_password": at("ipmi_password"),
                    "redfish_password": at("redfish_password"),
                    "snmp_auth_key": at("snmp_auth_key"),
                    "nested": {"deeper": [{"password": at("nested password")}]},
                    "fake_fault": {},
                },
                "instance_info": {
                    "configdrive": at("instance_info/configdrive"),
                    "image_url": f"http://127.0.0.1:9/{at('image_url')}",
                    "image_pull_secret": at("image_pull_secret"),
                    # A server that answers, and has no such image: no other is waited for.
                    "image_source": f"http://u:{at('image_source')}@{client.url[7:]}/image",
                    "image_checksum": "0" * 64,
                },
                "extra": {"api_token": "x"},
            },
        )
        assert status == 201, node
        self.uuid = node["uuid"]
        self.path = f"/v1/nodes/{self.uuid}"

    def fault(self, **faults: str) -> None:
        """What is to fail from now on."""
        self.send(
            "PATCH", "", [{"op": "replace", "path": "/driver_info/fake_fault", "value": faults}]
        )

    def send(
        self, method: str, below: str, body: Any = None, *, accepts: bool | None = True
    ) -> Any:
        """Something about the node."""
        end = time.monotonic() + PATIENCE
        while True:
            status, answer = self.client.send(method, f"{self.path}{below}", body)
            if "is locked by host" not in str(answer) or time.monotonic() > end:
                break
            # As clients do: what was accepted before may still be under way.
            time.sleep(0.1)
        assert accepts is None or (status < 300) == accepts, (method, below, status, answer)
        assert status < 500, answer
        return answer

    def verb(self, target: str, goal: str, **body: Any) -> None:
        """A verb, and the wait for the state it leads to."""
        self.send("PUT", "/states/provision", {"target": target, **body})
        end = time.monotonic() + PATIENCE
        while True:
            node = self.client.get(f"{self.path}?fields=provision_state,last_error,reservation")
            state = node["provision_state"]
            if state in RESTING and not node["reservation"]:
                assert state == goal, node
                return
            assert time.monotonic() < end, node
            time.sleep(0.05)


@pytest.fixture(scope="module")
def life(service: Service, client: Client, canaries: Canaries) -> Life:
    """All that is done to the service; afterwards it is searched."""
    found = Life(client, canaries)
    _give_a_token(service, found)
    _nouns(found)
    _live(found)
    _refusals(found)
    return found


def _give_a_token(service: Service, life: Life) -> None:
    """As a ramdisk that looked itself up has got it."""
    with sqlite3.connect(service.folder / "state" / "drophammer.sqlite") as database:
        (node_id,) = database.execute(
            "SELECT id FROM nodes WHERE uuid = ?", (life.uuid,)
        ).fetchone()
        database.execute(
            "INSERT INTO agents (node_id, token, token_shown, step_version, beats) "
            "VALUES (?, ?, 1, '{}', 0)",
            (node_id, life.put_in("agent token")),
        )
    database.close()


def _nouns(life: Life) -> None:
    at, step = life.put_in, {"interface": "deploy", "step": "erase_devices"}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/ports": {"node_uuid": life.uuid, "address": MAC},
        "/v1/portgroups": {"node_uuid": life.uuid},
        "/v1/volume/connectors": {
            "node_uuid": life.uuid,
            "type": "iqn",
            "connector_id": "iqn.2004-05.x:a",
        },
        "/v1/volume/targets": {
            "node_uuid": life.uuid,
            "volume_type": "iscsi",
            "volume_id": "v",
            "boot_index": 0,
            "properties": {"auth_password": at("CHAP"), "auth_username": "u"},
        },
        "/v1/deploy_templates": {
            "name": "CUSTOM_T",
            "steps": [{**step, "args": {"password": at("template step")}, "priority": 1}],
        },
        "/v1/runbooks": {
            "name": "CUSTOM_R",
            "steps": [{**step, "args": {"password": at("runbook step")}, "order": 1}],
        },
        "/v1/inspection_rules": {
            "sensitive": True,
            "conditions": [{"op": "eq", "args": {"values": ["a", at("rule condition")]}}],
            "actions": [
                {
                    "op": "set-attribute",
                    "args": {"path": "/driver_info/ipmi_password", "value": at("rule action")},
                }
            ],
        },
        # ``extra`` is what users gave to be shown: nothing in it is hidden.
        "/v1/chassis": {"extra": {"password": "shown"}},
    }
    for path, body in bodies.items():
        status, answer = life.client.send("POST", path, body)
        assert status == 201, answer


def _live(life: Life) -> None:
    at = life.put_in
    life.verb("manage", "manageable")
    # Somebody opened it while it was empty; what inspection says is not secret.
    life.verb("inspect", "manageable")
    life.send("PUT", "/states/console", {"enabled": True})
    drive = {"device_type": "cdrom", "image_download_source": "http"}
    image = f"http://u:{at('vmedia user')}@127.0.0.1:9/x.iso?sig={at('vmedia query')}"
    life.send("POST", "/vmedia", {**drive, "image_url": image})
    vendor = {"password": at("vendor arguments"), "bar": "meow"}
    life.send("POST", "/vendor_passthru/third_method_sync", vendor)
    life.send("POST", "/vendor_passthru/echo", vendor)
    setting = {"name": "AdminPassword", "value": at("BIOS password")}
    for step in (
        {"interface": "deploy", "step": "erase_devices", "args": {"password": at("clean step")}},
        {"interface": "bios", "step": "apply_configuration", "args": {"settings": [setting]}},
        {"interface": "deploy", "step": "no_such_step", "args": {"token": at("no step")}},
    ):
        life.send("PUT", "/states/provision", {"target": "clean", "clean_steps": [step]},
                  accepts=None)  # fmt: skip
        _rest(life)
    life.fault(deploy="told to fail")
    failing = {"interface": "deploy", "step": "erase_devices", "args": {}}
    life.verb("clean", "clean failed", clean_steps=[failing])
    _repaired(life)
    life.fault()
    life.verb("provide", "available")
    life.fault(deploy="told to fail")
    life.send("PATCH", "", [{"op": "add", "path": "/deploy_interface", "value": "direct"}])
    life.send("GET", "/validate")
    life.verb("active", "deploy failed")
    life.send("PUT", "/maintenance", {"reason": "another interface"})
    life.send("PATCH", "", [{"op": "add", "path": "/deploy_interface", "value": "fake"}])
    life.send("DELETE", "/maintenance")
    drive64 = base64.b64encode(f"{at('configdrive text')} padding".encode()).decode()
    life.verb("active", "deploy failed", configdrive=drive64)
    life.fault()
    userdata = {"user_data": at("user_data"), "meta_data": {"x": at("meta_data")}}
    life.verb("active", "active", configdrive=userdata)
    settings = [{"name": "AssetTag", "value": "rack 1"}]
    step = {"interface": "bios", "step": "apply_configuration"}
    told = {**step, "args": {"settings": settings, "password": at("service step")}}
    request = {"target": "service", "service_steps": [told]}
    life.send("PUT", "/states/provision", request, accepts=None)
    _rest(life)
    told = {**step, "priority": 50, "args": {"settings": settings, "token": at("deploy step")}}
    request = {"target": "rebuild", "deploy_steps": [told], "configdrive": at("of a rebuild") * 4}
    life.send("PUT", "/states/provision", request, accepts=None)
    _rest(life)
    life.verb("rescue", "rescue", rescue_password=at("rescue_password"))
    life.verb("unrescue", "active")
    life.verb("undeploy", "available")


def _rest(life: Life) -> None:
    """Wait until nothing is being done, and back to manageable."""
    end = time.monotonic() + PATIENCE
    while True:
        node = life.client.get(f"{life.path}?fields=provision_state,reservation")
        if node["provision_state"] in RESTING and not node["reservation"]:
            break
        assert time.monotonic() < end, node
        time.sleep(0.05)
    if node["provision_state"] == "clean failed":
        _repaired(life)


def _repaired(life: Life) -> None:
    """A node whose cleaning has failed is in maintenance."""
    life.send("DELETE", "/maintenance")
    life.verb("manage", "manageable")


def _refusals(life: Life) -> None:
    """Wrong requests whose refusals might quote them."""
    at, client = life.put_in, life.client
    long = at("too long a password") * 40
    life.send("PUT", "/states/provision", {"target": "rescue", "rescue_password": long},
              accepts=False)  # fmt: skip
    life.send("PUT", "/states/provision", {"target": "rescue", "rescue_password": [at("listed")]},
              accepts=False)  # fmt: skip
    drive = {"target": "active", "configdrive": {"user_data": 1, at("key"): at("unknown key")}}
    life.send("PUT", "/states/provision", drive, accepts=False)
    drive = {"target": "active", "configdrive": f"!{at('no base64')}"}
    life.send("PUT", "/states/provision", drive, accepts=False)
    value = {"op": "add", "path": "/driver_info/a/b", "value": at("patch value")}
    life.send("PATCH", "", [value], accepts=False)
    life.send("PATCH", "", [{**value, "path": "/driver_info", "value": at("wrong type")}],
              accepts=False)  # fmt: skip
    life.send("PATCH", "", f'[{{"op": "add", "value": "{at("broken JSON")}"'.encode(),
              accepts=False)  # fmt: skip
    client.send("POST", "/v1/nodes", {"driver": "fake-hardware", "driver_info": at("no object")})
    beat = {"callback_url": "https://192.0.2.1:9999", "agent_version": "1"}
    client.send("POST", f"/v1/heartbeat/{life.uuid}", {**beat, "agent_token": at("wrong token")})
    client.send("POST", f"/v1/heartbeat/{life.uuid}", {**beat, "agent_token": 1,
                "agent_verify_ca": at("wrong certificate")})  # fmt: skip
    client.send("GET", f"/v1/nodes?password={at('unknown argument')}")
    other = Client(client.url, USER, at("wrong password of a user"))
    assert other.send("GET", "/v1/nodes")[0] == 401
    client.answers.extend(other.answers)


def _paths(client: Client) -> list[str]:
    """Every path that can be read, with the names of what is there."""
    known: dict[str, list[str]] = {"drivers": ["fake-hardware"], "traits": ["CUSTOM_X"]}
    for route in ROUTES:
        table = route.handler.lists
        if route.method == "GET" and table is not None and "{" not in route.path:
            key = "uuid" if "uuid" in table.fields else "hostname"
            items = client.get(route.path).get(table.plural, [])
            known[route.path.rpartition("/")[2]] = [item[key] for item in items if key in item]
    history = client.get(f"/v1/nodes/{known['nodes'][0]}/history")["history"]
    known["history"] = [entry["uuid"] for entry in history]
    paths: list[str] = []
    for route in ROUTES:
        if route.method != "GET":
            continue
        # A stream has no end.
        ready = [f"{route.path}?stream=false" if route.path == "/v1/events" else route.path]
        while any("{" in path for path in ready):
            ready = [filled for path in ready for filled in _filled(path, known)]
        paths.extend(ready)
    return paths


def _filled(path: str, known: dict[str, list[str]]) -> list[str]:
    match = re.search(r"([a-z_]*)/?{(\w+)}", path)
    if match is None:
        return [path]
    values = known.get(match[1]) or [NAMES.get(match[2], "none")]
    return [path.replace(f"{{{match[2]}}}", value, 1) for value in values]


@pytest.mark.timeout(240)
def test_no_canary_is_seen_in_any_answer(client: Client, canaries: Canaries, life: Life) -> None:
    for path in _paths(client):
        for version in ("1.1", "1.115"):
            client.get(path, version)
    for path in ("/v1/nodes?detail=true", f"{life.path}/history?detail=true",
                 f"{life.path}/vendor_passthru?method=report"):  # fmt: skip
        assert client.get(path) is not None or "report" in path
    seen = [
        f"{where}: {places}"
        for where, text in client.answers
        if (places := canaries.found_in(text))
    ]
    assert not seen, "\n".join(seen)
    # Images are netboot's, and none runs here.
    asked = [where for where, _ in client.answers if "/v1/images" not in where]
    statuses = {where.rpartition(" ")[2] for where in asked}
    assert {status for status in statuses if status.startswith("5")} == set()


def test_no_canary_is_in_the_log(
    service: Service, client: Client, canaries: Canaries, life: Life
) -> None:
    client.send("GET", f"/v1/nodes?owner={canaries.at('URL')}&limit=1")
    client.send("GET", f"/v1/nodes?limit={canaries.at('wrong URL')}")
    log = service.log
    assert "GET" in log
    assert canaries.found_in(log) == []


def test_the_service_did_fail_and_told_so_without_secrets(client: Client, life: Life) -> None:
    operations = client.get(f"{life.path}/operations?limit=50")["operations"]
    assert {operation["state"] for operation in operations} >= {"done", "failed"}
    events = [entry["event"] for entry in client.get(f"{life.path}/history?detail=true")["history"]]
    assert any("told to fail" in event for event in events)


def test_only_the_service_can_read_what_it_keeps(service: Service) -> None:
    for path in Path(service.folder / "state").rglob("*"):
        assert path.stat().st_mode & 0o007 == 0, path
