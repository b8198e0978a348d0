"""What others send by mistake or malice, to the real process over real sockets.

Every answer is a refusal in one of the API's shapes, and comes quickly; in the end
nothing in the service's log is a traceback (``running`` looks).
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.contract.api.service import Service, running
from tests.patience import AT_ONCE, PATIENCE, until

VERSION = "X-OpenStack-Ironic-API-Version"
GIB = 1 << 30
NO_UUID = "not-a-uuid"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running("noauth", tmp_path_factory.mktemp("bad") / "service") as made:
        yield made


@pytest.fixture(scope="module")
def port(service: Service) -> int:
    return int(service.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def node(service: Service, port: int) -> str:
    status, found = ask(port, "POST", "/v1/nodes", {"driver": "fake-hardware", "name": "n"})
    assert status == 201, found
    return str(found["uuid"])


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and decoded body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
    connection.request(method, path, sent, {VERSION: "1.115"})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data) if data else None


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def read_all(client: socket.socket) -> bytes:
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def exchange(port: int, parts: Iterable[bytes]) -> tuple[int, Any]:
    """Send raw bytes until refused; status and body of the first answer."""
    with connect(port) as client:
        try:
            for part in parts:
                client.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body) if body else None


def check_refused(answer: tuple[int, Any], *expected: int) -> None:
    """One of the statuses, in one of the shapes."""
    status, body = answer
    assert status in expected, (status, body)
    inner = json.loads(body["error_message"]) if "error_message" in body else body
    assert inner.get("faultstring") or inner.get("description")


@pytest.mark.parametrize(
    "body",
    [
        b"{oops",
        b'{"driver": "fake-hardware"',
        b"null",
        b"",
        b"[]",
        b"1",
        b'"text"',
        b"\xff\xfe",
        b'{"driver": null}',
        b'{"driver": 1e999}',
        b'{"driver": "fake-hardware", "name": "' + b"x" * 256 + b'"}',
        b'{"driver": "fake-hardware", "description": "' + b"x" * 4097 + b'"}',
        b'{"driver": "fake-hardware", "owner": "\\ud800"}',
        b'{"driver": "fake-hardware", "extra": {"\\ud800": 1}}',
        b'{"driver": "fake-hardware", "extra": {"a": "\\u0000"}}',
        b'{"driver": "fake-hardware", "unknown": 1}',
        b'{"driver": "fake-hardware", "uuid": "not-a-uuid"}',
        b'{"driver": "fake-hardware", "uuid": 7}',
        b'{"driver": "fake-hardware", "instance_uuid": "not-a-uuid"}',
        b'{"driver": "fake-hardware", "chassis_uuid": "not-a-uuid"}',
        b'{"driver": "fake-hardware", "parent_node": "not-a-uuid"}',
        b'{"driver": "no-such-driver"}',
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b'{"extra": ' + b"[" * 30 + b"]" * 30 + b', "driver": "fake-hardware"}',
    ],
    ids=lambda body: repr(body[:60]),
)
def test_a_bad_body_is_refused(port: int, body: bytes) -> None:
    began = time.monotonic()
    check_refused(ask(port, "POST", "/v1/nodes", body), 400, 413)
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.parametrize("path", ["/v1/ports", "/v1/portgroups", "/v1/volume/targets"])
@pytest.mark.parametrize("uuid", [NO_UUID, "00000000-0000-0000-0000-000000000000", None, 7, {}])
def test_a_node_that_is_none_is_refused_in_bodies(port: int, path: str, uuid: Any) -> None:
    body = {"node_uuid": uuid, "address": "52:54:00:00:00:01"}
    if path == "/v1/volume/targets":
        body = {"node_uuid": uuid, "volume_type": "iscsi", "volume_id": "v", "boot_index": 0}
    check_refused(ask(port, "POST", path, body), 400)


def test_every_character_that_is_one_comes_back(port: int) -> None:
    text = "\U0001f600 \U0010ffff é \u2028 \\ \" ' ; -- %s {}"
    body = {"driver": "fake-hardware", "description": text, "extra": {text: [text]}}
    status, made = ask(port, "POST", "/v1/nodes", body)
    assert status == 201, made
    status, shown = ask(port, "GET", f"/v1/nodes/{made['uuid']}")
    assert (shown["description"], shown["extra"]) == (text, {text: [text]})


@pytest.mark.parametrize(
    "path",
    ["/v1/nodes", "/v1/ports", "/v1/portgroups", "/v1/chassis", "/v1/allocations",
     "/v1/conductors", "/v1/deploy_templates", "/v1/runbooks", "/v1/inspection_rules",
     "/v1/volume/connectors", "/v1/volume/targets"],
)  # fmt: skip
@pytest.mark.parametrize(
    "query",
    ["fields=nonsense", "sort_key=nonsense", "sort_key=extra", "sort_dir=up", "limit=-1",
     "limit=x", "limit=99999999999999999999", "marker=nonsense", "unknown=1", "fields=a,,b"],
)  # fmt: skip
def test_a_bad_query_is_refused(port: int, path: str, query: str) -> None:
    check_refused(ask(port, "GET", f"{path}?{query}"), 400, 404)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("what", ["power", "provision", "raid", "boot_mode", "anything", "%00"])
def test_only_puts_are_made_to_states(port: int, node: str, method: str, what: str) -> None:
    check_refused(ask(port, method, f"/v1/nodes/{node}/states/{what}"), 400, 404, 405)


def test_next_keeps_every_filter(port: int) -> None:
    for number in range(5):
        owner = "them" if number == 2 else "us & them"
        body = {"driver": "fake-hardware", "owner": owner, "resource_class": "paged"}
        assert ask(port, "POST", "/v1/nodes", body)[0] == 201
    path = (
        "/v1/nodes?limit=1&owner=us%20%26%20them&resource_class=paged&maintenance=false"
        "&fields=uuid,owner&sort_key=uuid&sort_dir=desc&provision_state=enroll"
    )
    found = []
    while path:
        status, page = ask(port, "GET", path)
        assert status == 200, page
        found.extend(page["nodes"])
        path = page.get("next", "").partition(f":{port}")[2]
    assert [entry["owner"] for entry in found] == ["us & them"] * 4
    uuids = [entry["uuid"] for entry in found]
    assert uuids == sorted(uuids, reverse=True)


def _wait(port: int, node: str, goal: str) -> None:
    def shown() -> Any:
        return ask(port, "GET", f"/v1/nodes/{node}")[1]

    def there(found: Any) -> bool:
        return found["provision_state"] == goal and found["reservation"] is None

    until(lambda: there(shown()), shown, pause=0.05)


def test_a_rebuild_without_an_image_is_refused_before_anything_happens(port: int) -> None:
    node = ask(port, "POST", "/v1/nodes", {"driver": "fake-hardware"})[1]["uuid"]
    for verb, goal in (("manage", "manageable"), ("provide", "available"), ("active", "active")):
        path = f"/v1/nodes/{node}/states/provision"
        assert ask(port, "PUT", path, {"target": verb})[0] == 202
        _wait(port, node, goal)
    direct = [{"op": "replace", "path": "/deploy_interface", "value": "direct"}]
    assert ask(port, "PUT", f"/v1/nodes/{node}/maintenance")[0] == 202
    assert ask(port, "PATCH", f"/v1/nodes/{node}", direct)[0] == 200
    assert ask(port, "DELETE", f"/v1/nodes/{node}/maintenance")[0] == 202
    check_refused(ask(port, "PUT", path, {"target": "rebuild"}), 400)
    assert ask(port, "GET", f"/v1/nodes/{node}")[1]["provision_state"] == "active"


def test_no_patch_of_eight_at_once_is_lost(port: int, node: str) -> None:
    def add(number: int) -> int:
        patch = [{"op": "add", "path": f"/extra/key{number}", "value": number}]
        return ask(port, "PATCH", f"/v1/nodes/{node}", patch)[0]

    for round_ in range(5):
        numbers = range(round_ * 8, round_ * 8 + 8)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(add, numbers)) == [200] * 8
    extra = ask(port, "GET", f"/v1/nodes/{node}")[1]["extra"]
    assert extra == {f"key{number}": number for number in range(40)}


def test_half_sent_requests_hold_up_nobody(port: int) -> None:
    half = b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connect(port)).sendall(half)
        began = time.monotonic()
        assert all(ask(port, "GET", "/v1/nodes?limit=1")[0] == 200 for _ in range(20))
        assert time.monotonic() - began < AT_ONCE


def test_256_connections_at_once_are_all_served(port: int) -> None:
    request = b"GET /v1/nodes?limit=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    began = time.monotonic()
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(256)]
        for client in clients:
            client.sendall(request)
        assert all(read_all(client).startswith(b"HTTP/1.1 200") for client in clients)
    assert time.monotonic() - began < AT_ONCE


HEAD = b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
MIB = b" " * (1 << 20)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_gigabyte_is_refused_without_being_read(port: int, chunked: bool) -> None:
    told = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % GIB
    piece = b"%x\r\n%b\r\n" % (len(MIB), MIB) if chunked else MIB
    parts = iter([HEAD + told + b"\r\n\r\n", *[piece] * (GIB // len(MIB))])
    check_refused(exchange(port, parts), 413)
    assert next(parts, None) is not None, "all of it was taken"


def test_much_that_is_allowed_to_come_is_refused_by_its_route(port: int) -> None:
    parts = [HEAD + b"Content-Length: %d\r\n\r\n" % (2 << 20), MIB, MIB]
    check_refused(exchange(port, parts), 413)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /v1/nodes HTTP/1.1\r\nX-A: " + b"a" * 600_000 + b"\r\n\r\n", 431),
        (b"GET /v1/nodes HTTP/1.1\r\n" + b"X-A: b\r\n" * 60_000 + b"\r\n", 431),
        (b"GET /" + b"a" * 600_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /v1/nodes/" + b"a" * 100_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /v1/nodes?owner=" + b"a" * 100_000 + b"&x=1 HTTP/1.1\r\nConnection: close\r\n\r\n",
         400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400),
        (b"GET //x\xc2\x80.%80/y HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"NONSENSE /v1/nodes HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
        (b"GET /v1/nodes HTTP/9.9\r\nConnection: close\r\n\r\n", 200),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: x\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)  # fmt: skip
def test_what_is_hardly_http_is_answered(port: int, request_: bytes, expected: int) -> None:
    answer = exchange(port, [request_])
    if expected >= 400:
        check_refused(answer, expected)
    assert answer[0] == expected


def test_garbage_behind_a_request_does_not_harm_the_request(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET /v1 HTTP/1.1\r\nHost: h\r\n\r\n" + b"\x00garbage\xff\r\n\r\n")
        answers = read_all(client)
    assert answers.count(b"HTTP/1.1 200") == 1
    assert answers.count(b" 400 ") == 1
    assert answers.count(b"HTTP/1.") == 2


def test_it_still_serves_after_all_that(port: int) -> None:
    began = time.monotonic()
    assert ask(port, "GET", "/v1/nodes?limit=1")[0] == 200
    assert time.monotonic() - began < AT_ONCE
