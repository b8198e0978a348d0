"""A client as strict as gophercloud, asking as Metal3's baremetal-operator asks.

Gophercloud takes one success code per call, and Go's types: a time that is not
RFC 3339, a null where a bool belongs, or a list for an object is an error there.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import urllib3

from tests.contract.api.service import PASSWORD, USER, Service
from tests.patience import PATIENCE

# What the operator can use, best first.
VERSIONS = (110, 109, 95, 93, 89)
TIMES = (
    "created_at",
    "updated_at",
    "provision_updated_at",
    "inspection_started_at",
    "inspection_finished_at",
)
OBJECTS = (
    "driver_info",
    "driver_internal_info",
    "properties",
    "instance_info",
    "extra",
    "clean_step",
    "deploy_step",
    "raid_config",
    "target_raid_config",
)
BOOLEANS = ("maintenance", "console_enabled", "protected", "retired")
TEXTS = ("uuid", "driver", "provision_state", "boot_interface", "deploy_interface", "conductor")
PERHAPS = (
    "name",
    "instance_uuid",
    "last_error",
    "power_state",
    "target_power_state",
    "target_provision_state",
    "maintenance_reason",
    "fault",
    "reservation",
)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_RELEASED = {"GET": 200, "PATCH": 200, "POST": 201, "DELETE": 204, "PUT": 202}


class Busy(Exception):
    """409: to be tried again later, which is no error."""


class Refused(Exception):
    """Another code than the call's own. Gophercloud keeps the raw body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body.decode()}")
        self.status = status


def choose(most: str) -> int:
    """The version the operator works with when the service's newest one is ``1.N``."""
    newest = int(most.removeprefix("1."))
    return next(version for version in VERSIONS if version <= newest)


def check_node(node: dict[str, Any]) -> dict[str, Any]:
    """The node, if all that is decoded into a typed field has that type."""
    check_times(node, TIMES)
    assert [name for name in OBJECTS if not isinstance(node[name], dict)] == []
    assert [name for name in BOOLEANS if not isinstance(node[name], bool)] == []
    assert [name for name in TEXTS if not isinstance(node[name], str)] == []
    assert [name for name in PERHAPS if not isinstance(node[name], str | None)] == []
    assert isinstance(node["automated_clean"], bool | None)
    assert isinstance(node["traits"], list)
    for link in node["links"] + node["ports"] + node["states"]:
        assert set(link) == {"rel", "href"}
    return node


def check_times(shown: dict[str, Any], names: tuple[str, ...]) -> None:
    """All of them are there, each null or RFC 3339 with an offset."""
    for name in names:
        assert shown[name] is None or _RFC_3339.fullmatch(shown[name]), (name, shown[name])


@dataclass(frozen=True)
class Told:
    """An answer with the code it was to have."""

    status: int
    headers: Any
    data: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.data)


class Gopher:
    """Speaks one version, by both headers, to an endpoint that ends in ``/v1/``."""

    def __init__(self, service: Service, version: int | None = None) -> None:
        self._pool = urllib3.PoolManager(maxsize=2, retries=False, timeout=PATIENCE)
        self._root = f"{service.url}/v1"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if service.mode == "http_basic":
            encoded = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            self._headers["Authorization"] = f"Basic {encoded}"
        self.found = self.call("GET", "/").body["version"]
        self.version = version or choose(self.found["version"])
        self._headers["X-OpenStack-Ironic-API-Version"] = f"1.{self.version}"
        self._headers["OpenStack-API-Version"] = f"baremetal 1.{self.version}"

    def close(self) -> None:
        self._pool.clear()

    def call(self, method: str, path: str, body: Any = None, code: int | None = None) -> Told:
        """An answer with exactly the expected code. Raises Busy or Refused."""
        encoded = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(
            method, self._root + path, body=encoded, headers=self._headers, redirect=False
        )
        if answer.status == 409:
            raise Busy(answer.data.decode())
        if answer.status != (code or _RELEASED[method]):
            raise Refused(answer.status, answer.data)
        if answer.status in (202, 204):
            assert answer.data == b""
            assert "Content-Type" not in answer.headers
        else:
            assert answer.headers["Content-Type"].startswith("application/json")
        return Told(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Any:
        return self.call("GET", path).body

    def node(self, ident: str) -> dict[str, Any]:
        return check_node(self.get(f"/nodes/{ident}"))

    def patch(self, ident: str, *changes: tuple[Any, ...]) -> dict[str, Any]:
        """Change a node by one list of (op, path) or (op, path, value)."""
        named = [dict(zip(("op", "path", "value"), change, strict=False)) for change in changes]
        return check_node(self.call("PATCH", f"/nodes/{ident}", named).body)

    def ask(self, ident: str, target: str, **more: Any) -> None:
        """Ask for a verb, again while the node is busy."""
        self.until_free("PUT", f"/nodes/{ident}/states/provision", {"target": target, **more})

    def until_free(self, method: str, path: str, body: Any = None, code: int | None = None) -> Told:
        """The call, again while the service says that it is busy."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self.call(method, path, body, code)
            except Busy:
                assert time.monotonic() < end

    def until(self, ident: str, state: str, *, failing: bool = False) -> dict[str, Any]:
        """The node once it is in ``state``; an error when it fails on the way, unless it may."""
        end = time.monotonic() + PATIENCE
        while True:
            node = self.node(ident)
            if node["provision_state"] == state:
                return node
            failed = node["provision_state"].endswith("failed") or node["last_error"]
            assert failing or not failed, (node["provision_state"], node["last_error"])
            assert time.monotonic() < end, node["provision_state"]
            time.sleep(0.01)

    def power(self, ident: str, target: str, expected: str) -> None:
        """Ask for a power state, and wait for it."""
        self.until_free("PUT", f"/nodes/{ident}/states/power", {"target": target})
        end = time.monotonic() + PATIENCE
        while True:
            node = self.node(ident)
            if node["power_state"] == expected and node["target_power_state"] is None:
                return
            assert time.monotonic() < end, node
            time.sleep(0.01)
