"""The HTTP file server over loopback: content, conditions, limits, hostile clients, stop."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import DrophammerError, Forbidden, NotFound, Unavailable
from netboot.content import Rendered, Request, StoredFile
from tests.patience import AT_ONCE, PATIENCE, until


class Answers:
    """A source that answers with what it was given, and counts how often it was asked."""

    def __init__(self, answer: Rendered | StoredFile | Exception) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    async def open(self, request: Request) -> Rendered | StoredFile:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


Get = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def get() -> Iterator[Get]:
    """One request on a connection of its own; the response's ``body`` is already read."""
    connections: list[http.client.HTTPConnection] = []

    def ask(
        server: Any, path: str, method: str = "GET", host: str | None = None, **fields: str
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(
            host or server.address[0], server.port, timeout=PATIENCE
        )
        connections.append(connection)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        return response

    yield ask
    for connection in connections:
        connection.close()


@pytest.fixture
def dial() -> Iterator[Callable[..., socket.socket]]:
    """Plain TCP connections to a server."""
    sockets: list[socket.socket] = []

    def connect(server: Any) -> socket.socket:
        sock = socket.create_connection(server.address[:2], PATIENCE)
        sockets.append(sock)
        return sock

    yield connect
    for sock in sockets:
        sock.close()


def until_closed(sock: socket.socket) -> bytes:
    content = b""
    while data := sock.recv(65536):
        content += data
    return content


def one_response(sock: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next response on a connection that stays open."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.status, response.read()


@pytest.mark.parametrize("size", [0, 1, 4096, 1_048_576, 5_000_003])
def test_a_file_of_any_size_arrives_whole(start_http: Any, get: Get, root: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    (root / "file").write_bytes(content)
    response = get(start_http(), "/file")
    assert response.status == 200
    assert response.headers["Content-Length"] == str(size)
    assert response.body == content


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_rendered_bytes_arrive_whole(start_http: Any, get: Get, size: int) -> None:
    content = random.Random(size).randbytes(size)
    response = get(start_http(Answers(Rendered(content, "text/x-test"))), "/x")
    assert response.body == content
    assert response.headers["Content-Type"] == "text/x-test"
    assert response.headers["Cache-Control"] == "no-store"


def test_efi_files_have_the_media_type_that_firmware_looks_for(
    start_http: Any, get: Get, root: Path
) -> None:
    (root / "boot.EFI").write_bytes(b"MZ")
    assert get(start_http(), "/boot.EFI").headers["Content-Type"] == "application/efi"


def test_head_tells_the_size_and_sends_nothing(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    sock.sendall(b"HEAD /kernel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = until_closed(sock).partition(b"\r\n\r\n")
    assert b"Content-Length: 200000" in head
    assert body == b""


def test_the_observer_is_told_that_only_the_size_was_asked(start_http: Any, dial: Any) -> None:
    server = start_http()
    dial(server).sendall(b"HEAD /kernel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert server.seen.wait() == ["size probe"]


def test_many_requests_go_over_one_connection(start_http: Any, dial: Any, root: Path) -> None:
    sock = dial(start_http())
    for _ in range(5):
        sock.sendall(b"GET /kernel HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_response(sock) == (200, (root / "kernel").read_bytes())
        sock.sendall(b"GET /missing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_response(sock)[0] == 404


def test_requests_sent_in_one_go_are_answered_in_order(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    sock.sendall(
        b"GET /grub/grub.cfg HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /missing HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    answer = until_closed(sock)
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 404, 200]


def test_http_1_0_closes_after_the_answer(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    sock.sendall(b"GET /grub/grub.cfg HTTP/1.0\r\n\r\n")
    assert until_closed(sock).endswith(b"\r\n\r\nmenuentry one\n")


def test_a_head_in_small_pieces_is_understood(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"GET /grub/grub.cfg HTTP/1.1\r\nHost: x\r\n\r\n":
        sock.send(bytes([byte]))
    assert one_response(sock) == (200, b"menuentry one\n")


def test_paths_are_decoded(start_http: Any, get: Get) -> None:
    server = start_http()
    assert get(server, "/grub%2fgrub%2Ecfg").body == b"menuentry one\n"
    assert get(server, "/grub%5Cgrub.cfg").body == b"menuentry one\n"


def test_the_source_learns_path_query_and_addresses(start_http: Any, get: Get) -> None:
    source = Answers(Rendered(b"x"))
    get(start_http(source), "/a/b%20c?mac=02%3A00&empty=")
    expected = Request("http", "a/b c", "127.0.0.1", "127.0.0.1", {"mac": "02:00", "empty": ""})
    assert source.asked == [expected]


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/%2e%2e/secret", "/grub/../../secret", "/..%5csecret", "/%2e%2e%2fsecret"],
)
def test_a_path_upwards_is_400(start_http: Any, get: Get, path: str) -> None:
    response = get(start_http(), path)
    assert response.status == 400
    assert b"out of reach" not in response.body


@pytest.mark.parametrize("path", ["/%00", "/a%0ab", "/%ff", "/a?b=%ff"])
def test_a_path_that_is_no_text_is_400(start_http: Any, get: Get, path: str) -> None:
    assert get(start_http(), path).status == 400


def test_a_link_that_leads_outside_is_403(start_http: Any, get: Get, root: Path) -> None:
    (root / "link").symlink_to("../secret")
    response = get(start_http(), "/link")
    assert response.status == 403
    assert b"out of reach" not in response.body


@pytest.mark.parametrize("path", ["/", "/grub", "/grub/", "/missing", "/kernel/x"])
def test_what_is_no_file_is_404(start_http: Any, get: Get, path: str) -> None:
    assert get(start_http(), path).status == 404


def test_no_refusal_names_a_path_of_the_server(start_http: Any, get: Get, root: Path) -> None:
    (root / "link").symlink_to("../secret")
    os.mkfifo(root / "pipe")
    server = start_http()
    for path in ("/missing", "/link", "/grub", "/pipe", "/../x"):
        assert str(root.parent).encode() not in get(server, path).body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "FOO"])
def test_other_methods_are_405_and_told_what_to_use(start_http: Any, get: Get, method: str) -> None:
    response = get(start_http(), "/kernel", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_a_large_upload_still_reads_its_refusal(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    sock.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000))
    assert until_closed(sock).startswith(b"HTTP/1.1 405 ")


def test_a_body_ends_the_connection_after_the_answer(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    smuggled = b"GET /kernel HTTP/1.1\r\nHost: x\r\n\r\n"
    length = str(len(smuggled)).encode()
    sock.sendall(b"GET /empty HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
    sock.sendall(smuggled)
    head = b""
    try:
        head = until_closed(sock)
    except ConnectionResetError:
        pass
    assert head.count(b"HTTP/1.1 ") <= 1


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=199990-", 199_990, 200_000),
        ("bytes=-5", 199_995, 200_000),
        ("bytes=0-999999999", 0, 200_000),
        ("bytes=-999999999", 0, 200_000),
    ],
)
def test_a_range_is_206(
    start_http: Any, get: Get, root: Path, asked: str, start: int, end: int
) -> None:
    response = get(start_http(), "/kernel", Range=asked)
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/200000"
    assert response.body == (root / "kernel").read_bytes()[start:end]


def test_a_range_of_rendered_bytes_is_206(start_http: Any, get: Get) -> None:
    response = get(start_http(Answers(Rendered(b"0123456789"))), "/x", Range="bytes=2-4")
    assert (response.status, response.body) == (206, b"234")


@pytest.mark.parametrize("asked", ["bytes=200000-", "bytes=999999999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(start_http: Any, get: Get, asked: str) -> None:
    response = get(start_http(), "/kernel", Range=asked)
    assert response.status == 416
    assert response.headers["Content-Range"] == "bytes */200000"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=x"])
def test_a_range_that_cannot_be_served_brings_the_whole(
    start_http: Any, get: Get, asked: str
) -> None:
    response = get(start_http(), "/kernel", Range=asked)
    assert (response.status, len(response.body)) == (200, 200_000)


def test_an_unchanged_file_is_304(start_http: Any, get: Get) -> None:
    server = start_http()
    first = get(server, "/kernel")
    again = get(server, "/kernel", If_None_Match=f'"other", W/{first.headers["ETag"]}')
    assert (again.status, again.body) == (304, b"")
    dated = get(server, "/kernel", If_Modified_Since=first.headers["Last-Modified"])
    assert dated.status == 304


def test_a_changed_file_is_sent_again(start_http: Any, get: Get, root: Path) -> None:
    server = start_http()
    tag = get(server, "/kernel").headers["ETag"]
    (root / "kernel").write_bytes(b"new")
    assert get(server, "/kernel", If_None_Match=tag).body == b"new"


def test_if_range_brings_the_whole_of_a_changed_file(start_http: Any, get: Get, root: Path) -> None:
    server = start_http()
    tag = get(server, "/kernel").headers["ETag"]
    assert get(server, "/kernel", Range="bytes=0-1", If_Range=tag).status == 206
    (root / "kernel").write_bytes(b"changed")
    response = get(server, "/kernel", Range="bytes=0-1", If_Range=tag)
    assert (response.status, response.body) == (200, b"changed")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /kernel\r\n\r\n",
        b"GET /kernel HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET kernel HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /kernel HTTP/1.1\r\n\r\n",
        b"GET /kernel HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /kernel HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /kernel HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /kernel HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /kernel HTTP/1.1\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?" + b"a=1&" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_malformed_head_is_400(start_http: Any, dial: Any, head: bytes) -> None:
    sock = dial(start_http())
    sock.sendall(head)
    sock.shutdown(socket.SHUT_WR)
    assert until_closed(sock).startswith(b"HTTP/1.1 400 ")


def test_an_absolute_url_is_understood(start_http: Any, dial: Any) -> None:
    sock = dial(start_http())
    sock.sendall(b"GET http://boot.example/empty HTTP/1.1\r\nHost: x\r\n\r\n")
    assert one_response(sock) == (200, b"")


@pytest.mark.parametrize("ended", [b"", b" HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_endless_url_is_414(start_http: Any, dial: Any, ended: bytes) -> None:
    sock = dial(start_http())
    sock.sendall(b"GET /" + b"x" * 5000 + ended)
    sock.shutdown(socket.SHUT_WR)
    assert until_closed(sock).startswith(b"HTTP/1.1 414 ")


@pytest.mark.parametrize("field", [b"X: " + b"y" * 20_000, b"X: y\r\n" * 100 + b"\r\n"])
def test_a_huge_head_is_431(start_http: Any, dial: Any, field: bytes) -> None:
    sock = dial(start_http())
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + field)
    sock.shutdown(socket.SHUT_WR)
    assert until_closed(sock).startswith(b"HTTP/1.1 431 ")


def test_random_bytes_leave_the_server_alive(start_http: Any, dial: Any, get: Get) -> None:
    server = start_http()
    chance = random.Random(4)
    for _ in range(50):
        sock = dial(server)
        sock.sendall(chance.randbytes(chance.randrange(1, 3000)))
        sock.close()
    assert get(server, "/empty").status == 200


def test_a_half_sent_head_is_closed_after_a_while(start_http: Any, dial: Any) -> None:
    sock = dial(start_http(head_seconds=0.3))
    sock.sendall(b"GET /kernel HTTP/1.1\r\nHost: x\r\nX-Half")
    assert until_closed(sock).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_drips_is_closed_as_well(start_http: Any, dial: Any) -> None:
    sock = dial(start_http(head_seconds=0.3))
    begun = time.monotonic()
    sock.settimeout(0.05)
    answer = b""
    while not answer and time.monotonic() - begun < PATIENCE:
        try:
            sock.sendall(b"G")
            answer = sock.recv(1000)
        except TimeoutError:
            pass
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_closed(start_http: Any, dial: Any) -> None:
    sock = dial(start_http(head_seconds=0.2))
    assert until_closed(sock) == b""


def test_an_idle_connection_is_closed(start_http: Any, dial: Any) -> None:
    sock = dial(start_http(idle_seconds=0.2))
    sock.sendall(b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n")
    assert one_response(sock) == (200, b"")
    assert until_closed(sock) == b""


def test_half_sent_requests_do_not_hold_up_others(start_http: Any, dial: Any, get: Get) -> None:
    server = start_http(head_seconds=2 * PATIENCE)
    for _ in range(200):
        dial(server).sendall(b"GET /kernel HTTP/1.1\r\nHost: x\r\nX-Half")
    assert len(get(server, "/kernel").body) == 200_000
    assert server.server.connections >= 200


def test_more_connections_than_allowed_are_503(start_http: Any, dial: Any, get: Get) -> None:
    server = start_http(max_connections=2)
    held = [dial(server) for _ in range(2)]
    for sock in held:
        sock.sendall(b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_response(sock)[0] == 200
    assert until_closed(dial(server)).startswith(b"HTTP/1.1 503 ")
    held[0].close()
    until(lambda: server.server.connections == 1)
    assert get(server, "/empty").status == 200


def test_a_client_that_reads_nothing_is_dropped(start_http: Any, dial: Any, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    server = start_http(stall_seconds=0.3)
    dial(server).sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
    (outcome,) = server.seen.wait()
    assert outcome.startswith("the connection broke: nothing taken")
    _, sent, total, *_ = server.seen.ended[0]
    assert 0 < sent < total == 1 << 30


def test_a_client_that_reads_slowly_is_served(start_http: Any, dial: Any) -> None:
    # Much more than lies in the buffers of sockets.
    content = random.Random(1).randbytes(8_000_000)
    server = start_http(Answers(Rendered(content)), stall_seconds=0.25)

    def served() -> bool:
        sock = dial(server)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        before, received = len(server.seen.ended), bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(65536):
                received += data
                time.sleep(0.003)  # Its own pace.
        server.seen.wait(before + 1)
        *_, seconds, _ = server.seen.ended[-1]
        return received.endswith(content) and seconds > 0.25

    # More than once, because to a machine that stands still a client is one that reads nothing.
    until(served)


def test_a_client_that_leaves_in_the_middle_is_noted(
    start_http: Any, dial: Any, root: Path
) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    server = start_http()
    sock = dial(server)
    sock.sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
    sock.recv(1000)
    sock.close()
    (outcome,) = server.seen.wait()
    assert outcome.startswith("the connection broke")


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound("no such node"), 404), (Forbidden("not yours"), 403), (Unavailable("db down"), 503)],
)
def test_an_error_of_the_source_has_its_status(
    start_http: Any, get: Get, error: DrophammerError, status: int
) -> None:
    response = get(start_http(Answers(error)), "/x")
    assert response.status == status
    assert (error.message.encode() in response.body) == (status < 500)


@pytest.mark.parametrize("error", [RuntimeError("hunter2 in /srv"), OSError(5, "hunter2 in /srv")])
def test_a_source_that_breaks_is_500_without_its_secrets(
    start_http: Any, get: Get, error: Exception
) -> None:
    response = get(start_http(Answers(error)), "/x")
    assert response.status == 500
    assert b"hunter2" not in response.body
    assert b"Traceback" not in response.body


def test_a_source_that_is_too_slow_is_503(start_http: Any, get: Get) -> None:
    class Slow:
        async def open(self, request: Request) -> Rendered:
            await asyncio.sleep(2 * PATIENCE)
            return Rendered(b"")

    assert get(start_http(Slow(), open_seconds=0.2), "/x").status == 503


def test_the_observer_learns_of_start_and_end(start_http: Any, get: Get) -> None:
    server = start_http()
    get(server, "/kernel", Range="bytes=0-99")
    assert server.seen.wait() == ["complete"]
    request, sent, total, *_ = server.seen.ended[0]
    assert server.seen.begun == [request]
    assert (sent, total) == (100, 100)


def test_an_observer_that_breaks_does_not_break_the_transfer(start_http: Any, get: Get) -> None:
    class Broken:
        def started(self, request: Request) -> None:
            raise RuntimeError("observer")

        def finished(self, *_: object) -> None:
            raise RuntimeError("observer")

    assert get(start_http(observer=Broken()), "/empty").status == 200


def test_ipv6_is_served(start_http: Any, get: Get) -> None:
    server = start_http(host="::1")
    assert len(get(server, "/kernel").body) == 200_000
    server.seen.wait()
    assert server.seen.begun[0].client == server.seen.begun[0].local == "::1"


def test_ipv4_over_a_socket_for_both_is_written_as_ipv4(start_http: Any, get: Get) -> None:
    server = start_http(host="::")
    assert get(server, "/empty", host="127.0.0.1").status == 200
    assert server.seen.begun[0].client == server.seen.begun[0].local == "127.0.0.1"


def test_two_hundred_connections_in_one_instant_are_all_served(
    start_http: Any, get: Get, root: Path
) -> None:
    server = start_http()
    with ThreadPoolExecutor(50) as machines:
        statuses = list(machines.map(lambda _: get(server, "/boot.cfg").status, range(200)))
    assert set(statuses) == {200}


def test_stop_finishes_what_is_under_way_and_closes_the_idle(start_http: Any, dial: Any) -> None:
    class Opens:
        def __init__(self) -> None:
            self.now = asyncio.Event()

        async def open(self, request: Request) -> Rendered:
            await self.now.wait()
            return Rendered(b"finished")

    source = Opens()
    server = start_http(source)
    idle, busy = dial(server), dial(server)
    busy.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
    server.seen.wait_begun()
    stopping = asyncio.run_coroutine_threadsafe(
        server.server.stop(2 * PATIENCE), server.thread.loop
    )
    assert until_closed(idle) == b""
    server.thread.loop.call_soon_threadsafe(source.now.set)
    answer = until_closed(busy)
    assert answer.endswith(b"finished")
    assert b"Connection: close" in answer
    stopping.result(AT_ONCE)
    with pytest.raises(ConnectionRefusedError):
        dial(server)


def test_stop_cuts_what_takes_longer_than_its_grace(start_http: Any, dial: Any, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 30)
    server = start_http()
    sock = dial(server)
    sock.sendall(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
    sock.recv(1000)
    begun = time.monotonic()
    server.stop(grace=0.1)
    assert time.monotonic() - begun < AT_ONCE
    assert server.seen.wait() == ["the server is stopping"]
    assert server.server.connections == 0


def test_one_client_cannot_take_all_connections(start_http: Any) -> None:
    server = start_http(max_connections=10, max_of_client=2)
    held = [socket.create_connection(server.address) for _ in range(2)]
    with socket.create_connection(server.address) as third:
        assert third.recv(100).startswith(b"HTTP/1.1 503 ")
    other = socket.create_connection(server.address, source_address=("127.0.0.9", 0))
    with other:
        other.sendall(b"GET /boot.cfg HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
    for one in held:
        one.close()
