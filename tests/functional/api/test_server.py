"""The HTTP server: crowds, half-sent requests, nonsense, and the end."""

from __future__ import annotations

import http.client
import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from api.app import create_app
from api.server import ApiServer, listen
from tests.patience import AT_ONCE, PATIENCE, until

GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
HALF = b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[ApiServer, int]]]:
    with ExitStack() as stack:

        def start(app: Any, *, threads: int = 16, patience: float = 30) -> tuple[ApiServer, int]:
            listening = listen("127.0.0.1", 0)
            port = listening.getsockname()[1]
            server = ApiServer(app, [listening], threads, patience=patience)
            server.start()
            stack.callback(server.stop)
            return server, port

        yield start


@pytest.fixture
def port(serve, settings, store, bus, conductor) -> int:
    return serve(create_app(settings, store, bus))[1]


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def ask(port: int, request: bytes = GET) -> bytes:
    with connect(port) as client:
        client.sendall(request)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_request_is_answered_without_naming_the_server(port) -> None:
    answer = ask(port)
    assert status(answer) == 200
    assert b"X-Openstack-Ironic-Api-Maximum-Version: 1.115" in answer
    assert b"Server:" not in answer


def test_a_connection_serves_several_requests(port) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    client.connect()
    first = client.sock
    for _ in range(3):
        client.request("GET", "/v1/nodes")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"nodes":[]}')
        assert client.sock is first
    client.close()


def test_an_answer_without_a_body_says_so(port, api) -> None:
    uuid = api.node()["uuid"]
    with connect(port) as client:
        path = f"/v1/nodes/{uuid}/maintenance".encode()
        client.sendall(b"PUT " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 202")
        assert b"Content-Length: 0" in answer
        client.sendall(b"DELETE /v1/nodes/" + uuid.encode() + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 204")


def test_256_connections_at_one_instant_are_served_and_none_has_to_knock_twice(port) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(256)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        for client in clients:
            client.setblocking(True)
            client.settimeout(PATIENCE)
            client.sendall(GET)
        assert all(status(read_all(client)) == 200 for client in clients)
        # Whom the kernel finds no room for comes back after a second, then after two.
        assert not any(sent_again(client) for client in clients)


def sent_again(client: socket.socket) -> int:
    """How many packets it took more than once: ``tcpi_total_retrans``."""
    told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(told[100:104], sys.byteorder)


def test_half_sent_requests_hold_up_nobody(serve, settings, store, bus) -> None:
    _, port = serve(create_app(settings, store, bus), patience=3600)
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connect(port)).sendall(HALF)
        assert all(status(ask(port)) == 200 for _ in range(20))


def test_requests_sent_together_are_answered_in_order_and_let_others_pass(serve) -> None:
    among: list[str] = []

    def telling(environ: Any, start_response: Any) -> list[bytes]:
        among.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/0":
            others.sendall(b"GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            # The other thread has read it and found the only place taken.
            until(lambda: server._desk._waiting, pause=0.001)
        body = environ["PATH_INFO"].encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    server, port = serve(telling, threads=1)
    with connect(port) as client, connect(port) as others:
        many = [b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(50)]
        many[-1] = many[-1].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        client.sendall(b"".join(many))
        answers = read_all(client)
        assert status(read_all(others)) == 200
    bodies = [part.partition(b"HTTP")[0] for part in answers.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"/%d" % number for number in range(50)]
    assert among.index("/other") == 1


def test_while_every_thread_works_others_come_in_send_and_read_and_have_their_turn(serve) -> None:
    large = b"x" * (12 << 20)
    leave, entered = threading.Event(), threading.Semaphore(0)
    came: list[str] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        came.append(path)
        if path == "/verb":
            entered.release()
            leave.wait(PATIENCE)
        body = large if path == "/large" else b"done"
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def get(path: str, extra: bytes = b"") -> socket.socket:
        client = stack.enter_context(connect(port))
        request = b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%b\r\n"
        client.sendall(request % (path.encode(), extra))
        return client

    _, port = serve(app, threads=2, patience=0.3)
    with ExitStack() as stack:
        reading = get("/large")
        select.select([reading], [], [], PATIENCE)
        verbs = [get("/verb") for _ in range(2)]
        assert all(entered.acquire(timeout=PATIENCE) for _ in range(2))
        # What was answered before is sent to its end,
        assert len(read_all(reading)) > len(large)
        # a body is asked for,
        asking = get("/body", b"Content-Length: 4\r\nExpect: 100-continue\r\n")
        assert status(asking.recv(65536)) == 100
        # who drips is refused,
        assert status(read_all(get("/", b"Content-Length: 4\r\n"))) == 408
        # and who waits for a thread is not: nothing of its request is left in the kernel.
        waiting = [get(f"/{number}", b"X-A: %b\r\n" % (b"a" * 100_000)) for number in range(9)]
        assert not select.select(waiting, [], [], 1.5)[0]
        assert came == ["/large", "/verb", "/verb"]
        leave.set()
        assert all(read_all(client).endswith(b"done") for client in (*waiting, *verbs))


def test_what_is_idle_is_closed_by_a_stop_while_every_thread_works(serve) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        entered.set()
        leave.wait(PATIENCE)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    server, port = serve(slow, threads=1)
    with connect(port) as idle, connect(port) as under_way:
        idle.sendall(b"GET /")
        under_way.sendall(GET)
        assert entered.wait(PATIENCE)
        stopping = threading.Thread(target=server.stop, args=(PATIENCE,))
        stopping.start()
        assert read_all(idle) == b""
        leave.set()
        assert read_all(under_way).endswith(b"done")
        stopping.join(PATIENCE)


def test_a_gigabyte_is_refused_before_it_is_sent(port) -> None:
    request = b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n"
    with connect(port) as client:
        client.sendall(request)
        assert status(client.recv(65536)) == 413


def post(path: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(b"/v1/nodes", b"[" * 100_000), 400),
        (post(b"/v1/nodes", b"{oops"), 400),
        (post(b"/v1/nodes", b"x" * (2 << 20)), 413),
        (b"GET\r\n\r\n", 400),
        (b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /v1/nodes/%ff%00 HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400),
    ],
)
def test_nonsense_is_refused(port, request_, expected) -> None:
    assert status(ask(port, request_)) == expected


def test_a_chunked_body_is_read(port) -> None:
    body = b'{"driver": "fake-hardware"}'
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    assert status(ask(port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)) == 201


def test_several_sockets_are_served_at_once(settings, store, bus) -> None:
    sockets = [listen("127.0.0.1", 0), listen("::1", 0)]
    ports = [made.getsockname()[1] for made in sockets]
    server = ApiServer(create_app(settings, store, bus), sockets)
    server.start()
    try:
        assert status(ask(ports[0])) == 200
        with socket.create_connection(("::1", ports[1]), timeout=PATIENCE) as client:
            client.sendall(GET)
            assert status(read_all(client)) == 200
    finally:
        server.stop()


def test_stopping_answers_what_is_under_way_and_closes_the_rest(serve) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        entered.set()
        leave.wait(PATIENCE)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    server, port = serve(slow)
    with connect(port) as under_way, connect(port) as idle, connect(port) as half:
        half.sendall(HALF)
        under_way.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert entered.wait(PATIENCE)
        started = time.monotonic()
        stopping = threading.Thread(target=server.stop, args=(PATIENCE,))
        stopping.start()
        # Both are closed while the request is still being worked on.
        assert (read_all(idle), read_all(half)) == (b"", b"")
        refused = False
        try:
            connect(port).close()
        except ConnectionRefusedError:
            refused = True
        leave.set()
        answer = read_all(under_way)
        stopping.join(PATIENCE)
        took = time.monotonic() - started
    assert refused
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"done")
    assert took < AT_ONCE


def test_stopping_does_not_wait_for_ever(serve) -> None:
    entered, leave = threading.Event(), threading.Event()

    def stuck(environ: Any, start_response: Any) -> list[bytes]:
        entered.set()
        leave.wait(PATIENCE)
        start_response("200 OK", [])
        return [b""]

    server, port = serve(stuck)
    with connect(port) as client:
        client.sendall(GET)
        assert entered.wait(PATIENCE)
        started = time.monotonic()
        server.stop(timeout=0.5)
        assert time.monotonic() - started < AT_ONCE
        assert client.recv(1) == b""
        leave.set()


def test_a_large_answer_is_sent_to_its_end_while_stopping(serve) -> None:
    # More than the kernel's buffers take, less than the server lets pile up.
    sent = b"x" * (12 << 20)

    def large(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(sent)))])
        return [sent]

    server, port = serve(large)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port))
        client.sendall(GET)
        select.select([client], [], [], PATIENCE)
        stopping = threading.Thread(target=server.stop, args=(PATIENCE,))
        stopping.start()
        # As long as we do not read, it cannot be done.
        stopping.join(0.2)
        assert stopping.is_alive()
        assert len(read_all(client)) > len(sent)
        stopping.join(PATIENCE)


def test_stopping_twice_or_unstarted_is_harmless(serve, settings, store, bus) -> None:
    server, _ = serve(create_app(settings, store, bus))
    server.stop()
    server.stop()
    unused = listen("127.0.0.1", 0)
    ApiServer(create_app(settings, store, bus), [unused]).stop()
    unused.close()


def test_nothing_is_left_behind(serve, settings, store, bus) -> None:
    before = {thread.name for thread in threading.enumerate()}
    server, port = serve(create_app(settings, store, bus))
    ask(port)
    server.stop()

    def left() -> list[str]:
        names = {thread.name for thread in threading.enumerate()} - before
        return [name for name in names if name.startswith("api-server")]

    until(lambda: not left(), left)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_what_the_server_itself_refuses_is_json_too(port, request_, code) -> None:
    answer = ask(port, request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == code
    assert b"Content-Type: application/json" in head
    fault = json.loads(body)
    assert fault["faultcode"] == ("Client" if code < 500 else "Server")
    assert fault["faultstring"]


@pytest.mark.parametrize("extra", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_two_lengths_of_one_body_are_refused_at_once(port, version, extra) -> None:
    head = b"POST /v1/nodes HTTP/%b\r\nHost: h\r\nContent-Length: 4\r\n%b" % (version, extra)
    answer = ask(port, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert status(answer) == 400
    assert b"Content-Length and Transfer-Encoding" in answer
    assert answer.count(b"HTTP/1.") == 1


@pytest.mark.parametrize(
    "start",
    [
        b"POST /v1/nodes HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n{",
        b"GET /v1/nodes HTTP/1.1\r\nHost: h\r\nX-A: ",
    ],
)
def test_a_request_that_only_drips_in_is_cut_off(serve, settings, store, bus, start) -> None:
    _, port = serve(create_app(settings, store, bus), patience=0.3)
    with connect(port) as client:
        client.sendall(start)
        began = time.monotonic()
        while not select.select([client], [], [], 0.05)[0]:
            client.sendall(b"1")
            assert time.monotonic() - began < PATIENCE
        answer = read_all(client)
    assert status(answer) == 408
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["faultcode"] == "Client"


def test_a_large_body_on_a_fair_line_is_given_its_time(serve, settings, store, bus) -> None:
    _, port = serve(create_app(settings, store, bus), patience=0.3)
    body = b'{"driver": "fake-hardware"}' + b" " * 300_000
    with connect(port) as client:
        request = post(b"/v1/nodes", body)
        # So much that it stays a fair line though all of us stand still for a while.
        first = 250_000
        client.sendall(request[:first])
        for place in range(first, len(request), 2_500):
            client.sendall(request[place : place + 2_500])
            time.sleep(0.05)
        assert status(read_all(client)) == 201
