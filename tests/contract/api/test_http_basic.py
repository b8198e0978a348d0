"""HTTP basic passwords: what is open, what is closed, and the file of users."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
import urllib3
from openstack import exceptions

from api.routes import ROUTES
from tests.contract.api.cli import Baremetal, Complaint
from tests.contract.api.service import PASSWORD, USER, Service, add_user

REALM = 'Basic realm="Baremetal API"'
NODE = "77777777-aaaa-4bbb-8ccc-888888888888"
OPEN = [
    ("GET", "/", 200),
    ("GET", "/v1", 200),
    ("GET", "/v1/", 200),
    # Open, and then not content with what it is asked.
    ("GET", f"/v1/lookup?node_uuid={NODE}", 404),
    ("POST", f"/v1/heartbeat/{NODE}", 400),
    ("POST", "/v1/continue_inspection", 400),
]
CLOSED = [
    ("GET", "/v1/nodes"),
    ("POST", "/v1/nodes"),
    ("GET", f"/v1/nodes/{NODE}"),
    ("PATCH", f"/v1/nodes/{NODE}"),
    ("DELETE", f"/v1/nodes/{NODE}"),
    ("PUT", f"/v1/nodes/{NODE}/states/provision"),
    ("GET", "/v1/drivers"),
    ("GET", "/nodes"),
    ("GET", "/v1/lookup/more"),
    ("GET", "/v1/no/such/path"),
]


class Wire:
    """Asks with or without an Authorization header."""

    def __init__(self, service: Service) -> None:
        self._url = service.url
        self._pool = urllib3.PoolManager(retries=False)

    def ask(self, method: str, path: str, authorization: str | None = None) -> tuple[int, Any, Any]:
        headers = {"X-OpenStack-Ironic-API-Version": "latest"}
        if authorization is not None:
            headers["Authorization"] = authorization
        body = b"{}" if method in ("POST", "PUT", "PATCH") else None
        answer = self._pool.request(method, self._url + path, headers=headers, body=body)
        return answer.status, answer.headers, json.loads(answer.data)

    def close(self) -> None:
        self._pool.clear()


@pytest.fixture(scope="module")
def wire(guarded: Service) -> Iterator[Wire]:
    made = Wire(guarded)
    yield made
    made.close()


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(("method", "path", "status"), OPEN)
def test_what_ramdisks_need_is_open(wire: Wire, method: str, path: str, status: int) -> None:
    assert wire.ask(method, path)[0] == status


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_all_else_asks_for_a_password(wire: Wire, method: str, path: str) -> None:
    status, headers, body = wire.ask(method, path)
    assert (status, headers["WWW-Authenticate"]) == (401, REALM)
    assert set(body) == {"error"}
    assert (set(body["error"]), body["error"]["code"]) == ({"message", "code"}, 401)


def test_no_route_is_forgotten(wire: Wire) -> None:
    public = {
        ("GET", "/"), ("GET", "/v1"), ("HEAD", "/v1"), ("GET", "/v1/lookup"),
        ("POST", "/v1/heartbeat/{ident}"), ("POST", "/v1/continue_inspection"),
        # Ours alone: they tell of the API, and of nothing in it.
        ("GET", "/openapi.json"), ("GET", "/docs"),
        ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
    }  # fmt: skip
    asked = {(route.method, route.path) for route in ROUTES} - public
    assert len(asked) > 130
    answered = {
        (method, path): wire.ask(method, re.sub("{.*?}", NODE, path))[0] for method, path in asked
    }
    assert {one: status for one, status in answered.items() if status != 401} == {}


@pytest.mark.parametrize(
    ("user", "password"),
    [(USER, "wrong"), ("nobody", PASSWORD), (USER, ""), ("", ""), (USER, PASSWORD + " ")],
)
def test_wrong_credentials_are_a_401(wire: Wire, user: str, password: str) -> None:
    status, headers, body = wire.ask("GET", "/v1/nodes", basic(user, password))
    assert (status, headers["WWW-Authenticate"]) == (401, REALM)
    assert body["error"]["code"] == 401


@pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic %%%", "Basic YWJj", "Digest a=b"])
def test_a_header_that_is_no_basic_one_is_a_400(wire: Wire, header: str) -> None:
    status, headers, body = wire.ask("GET", "/v1/nodes", header)
    assert (status, body["error"]["code"]) == (400, 400)
    assert "WWW-Authenticate" not in headers


def test_right_credentials_open_everything(wire: Wire) -> None:
    assert wire.ask("GET", "/v1/nodes", basic(USER, PASSWORD))[0] == 200


def test_the_file_of_users_is_read_again(wire: Wire, guarded: Service) -> None:
    before = guarded.users.read_text()
    carol = basic("carol", "pass:wörd")
    assert wire.ask("GET", "/v1/nodes", carol)[0] == 401
    add_user(guarded.users, "carol", "pass:wörd")
    assert wire.ask("GET", "/v1/nodes", carol)[0] == 200
    guarded.users.write_text(before)
    assert wire.ask("GET", "/v1/nodes", carol)[0] == 401


@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning")
def test_clients_with_a_wrong_password_tell_so(guarded: Service) -> None:
    cloud = {**guarded.cloud, "auth": {**guarded.cloud["auth"], "password": "wrong"}}
    with openstack.connect(load_yaml_config=False, load_envvars=False, **cloud) as connection:
        with pytest.raises(exceptions.HttpException) as refused:
            list(connection.baremetal.nodes())
        assert refused.value.status_code == 401
    with pytest.raises(Complaint, match="401"):
        Baremetal(guarded.environment | {"OS_PASSWORD": "wrong"})("node list")


def test_no_password_reaches_the_log(wire: Wire, guarded: Service) -> None:
    wire.ask("GET", "/v1/nodes", basic(USER, "mistyped"))
    assert "mistyped" not in guarded.log
    assert PASSWORD not in guarded.log
    assert b64encode(f"{USER}:{PASSWORD}".encode()).decode() not in guarded.log
