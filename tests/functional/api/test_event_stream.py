"""The event stream: told as it happens, from where one left off, to many at once."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import insert

from api.app import create_app
from api.eventstream import EventStream
from api.listener import BACKLOG_BYTES
from api.server import ApiServer, listen
from drophammer import events
from drophammer.model import Event
from drophammer.store import Store
from tests.patience import AT_ONCE, PATIENCE, until


@dataclass
class Follower:
    """A client of the stream, as a browser would read it."""

    sock: socket.socket
    header: bytes = b""
    text: bytearray = field(default_factory=bytearray)

    def fill(self) -> bool:
        part = self.sock.recv(65536)
        self.text += part
        return part != b""

    def until(self, end: bytes) -> bytes:
        while end not in self.text:
            assert self.fill(), self.text
        part, _, self.text = self.text.partition(end)
        return bytes(part)

    def event(self) -> dict[str, str]:
        """The next event; comments are passed over."""
        while True:
            fields = dict(
                line.split(": ", 1)
                for line in self.until(b"\n\n").decode().splitlines()
                if not line.startswith(":")
            )
            if "data" in fields:
                return fields

    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.event()["data"]))

    def comment(self) -> bytes:
        return self.until(b"\n\n")


@dataclass
class Service:
    store: Store
    port: int
    server: ApiServer
    stream: EventStream
    followers: list[Follower] = field(default_factory=list)

    def follow(self, path: str = "/v1/events", *headers: str, wait: bool = True) -> Follower:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        head = "".join(f"{line}\r\n" for line in ("Host: h", *headers))
        client.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        follower = Follower(client)
        self.followers.append(follower)
        if wait:
            follower.header = follower.until(b"\r\n\r\n")
            assert b" 200 " in follower.header, follower.header
            assert follower.until(b"\n\n").startswith(b"retry: ")
        return follower

    def tell(self, message: str, *, kind: str = "state", **more: Any) -> None:
        told = {"node_id": None, "source": "conductor", **more}
        with self.store.write() as session:
            now = self.store.clock.now()
            events.record(session, at=now, kind=kind, message=message, **told)


@pytest.fixture
def serve(settings, store, bus) -> Iterator[Callable[..., Service]]:
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Service:
            app = create_app(settings, store, bus)
            for name, value in options.items():
                setattr(app.stream, name, value)
            listening = listen("127.0.0.1", 0)
            server = ApiServer(app, [listening])
            server.start()
            stack.callback(server.stop)
            stack.callback(app.stream.stop)
            service = Service(store, listening.getsockname()[1], server, app.stream)
            stack.callback(lambda: [follower.sock.close() for follower in service.followers])
            return service

        yield start


@pytest.fixture
def service(serve) -> Service:
    return serve()


def test_what_happens_is_told_at_once_with_all_its_parts(serve, api) -> None:
    # Who waits for the next look at the table waits for ever.
    service = serve(_poll_seconds=3600)
    node = api.node(name="rack-1")
    follower = service.follow()
    with service.store.read() as session:
        (enrolled,) = events.of_node(session, 1, 0, 10)
    service.tell("power on", kind="power", node_id=enrolled.node_id, data={"password": "x"})
    event = follower.event()
    told = json.loads(event["data"])
    assert event["id"] == str(told["id"]) == str(enrolled.id + 1)
    assert event["event"] == told["kind"] == "power"
    assert (told["node"], told["node_name"]) == (node["uuid"], "rack-1")
    assert told["message"] == "power on"
    assert told["source"] == "conductor"
    assert told["data"] == {"password": "******"}
    assert told["at"].endswith("+00:00")
    assert b"content-type: text/event-stream" in follower.header.lower()


def test_what_another_process_writes_is_told_too(service) -> None:
    follower = service.follow()
    # Past the session that would wake the stream.
    other = Store(service.store.engine.url.render_as_string(hide_password=False))
    told = {"at": other.clock.now(), "source": "netboot", "kind": "dhcp", "data": {}}
    with other.engine.begin() as connection:
        connection.execute(insert(Event), [{**told, "message": "offer"}])
    other.close()
    assert follower.data()["message"] == "offer"


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_stream_goes_on_behind_the_last_event_that_was_seen(service, how) -> None:
    for number in range(1200):
        service.tell(f"event {number}") if number % 400 == 0 else None
    with service.store.write() as session:
        now = service.store.clock.now()
        for number in range(1200):
            events.record(
                session, node_id=None, at=now, source="api", kind="note", message=str(number)
            )
    after = 3 + 100
    if how == "header":
        # A client that comes back keeps the URL it first had.
        follower = service.follow("/v1/events?after=1", f"Last-Event-ID: {after}")
    else:
        follower = service.follow(f"/v1/events?after={after}")
    found = [follower.data() for _ in range(1100)]
    assert [event["message"] for event in found] == [str(n) for n in range(100, 1200)]
    service.tell("and now")
    assert follower.data()["message"] == "and now"


def test_who_has_seen_nothing_yet_can_still_come_back_to_where_it_began(service) -> None:
    service.tell("before")
    first = service.follow(wait=False)
    first.until(b"\r\n\r\n")
    greeting = first.until(b"\n\n").decode()
    first.sock.close()
    service.tell("meanwhile")
    last = greeting.partition("id: ")[2]
    again = service.follow("/v1/events", f"Last-Event-ID: {last}")
    assert again.data()["message"] == "meanwhile"


def test_that_a_node_is_gone_is_told_with_its_name(service, api) -> None:
    node = api.node(name="rack-1")
    follower = service.follow()
    api.delete("/v1/nodes/rack-1")
    told = follower.data()
    assert told["kind"] == "delete"
    assert (told["node"], told["node_name"]) == (node["uuid"], "rack-1")


def test_node_kind_and_source_choose(service, api) -> None:
    one, two = api.node(name="one"), api.node(name="two")
    del one, two
    by_node = service.follow("/v1/events?node=two")
    by_kind = service.follow("/v1/events?kind=power&kind=state")
    by_source = service.follow("/v1/events?source=netboot")
    service.tell("dhcp of one", kind="dhcp", node_id=1, source="netboot")
    service.tell("step of two", kind="step", node_id=2)
    service.tell("power of one", kind="power", node_id=1)
    service.tell("state of two", kind="state", node_id=2)
    service.tell("http of two", kind="http", node_id=2, source="netboot")
    assert [by_node.data()["message"] for _ in range(3)] == [
        "step of two",
        "state of two",
        "http of two",
    ]
    assert [by_kind.data()["kind"] for _ in range(2)] == ["power", "state"]
    assert [by_source.data()["message"] for _ in range(2)] == ["dhcp of one", "http of two"]
    late = service.follow("/v1/events?after=0&node=two&kind=http")
    assert late.data()["message"] == "http of two"


def test_a_quiet_stream_shows_that_it_lives(serve) -> None:
    follower = serve(_life_seconds=0.05).follow()
    assert follower.comment().startswith(b":")
    assert follower.comment().startswith(b":")


def test_a_stream_of_http_1_0_has_no_chunks_and_no_length_either(service) -> None:
    client = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
    client.sendall(b"GET /v1/events HTTP/1.0\r\nHost: h\r\n\r\n")
    follower = Follower(client)
    service.followers.append(follower)
    header = follower.until(b"\r\n\r\n").lower()
    assert b"content-length" not in header
    assert b"transfer-encoding" not in header
    service.tell("x")
    assert follower.data()["message"] == "x"


def test_five_hundred_listeners_take_no_thread_and_no_cpu(service) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 500
    if soft < 4 * wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
        service.stream._limit = 1000
    before = threading.active_count()
    followers = [service.follow() for _ in range(wanted)]
    assert threading.active_count() <= before + 1
    used = time.process_time()
    time.sleep(1.0)
    used = time.process_time() - used
    # A loop that never rests takes all of it.
    assert used < 0.25, f"{used:.3f} s of CPU in a second of silence"
    service.tell("to all")
    assert {follower.data()["message"] for follower in followers} == {"to all"}
    # And the API answers others meanwhile.
    other = service.follow("/v1/events?stream=false", "Connection: close", wait=False)
    assert b'"to all"' in other.until(b"next_after")


def test_one_too_many_is_told_so(serve) -> None:
    service = serve(_limit=1)
    first = service.follow()
    second = service.follow("/v1/events", "Connection: close", wait=False)
    while second.fill():
        pass
    assert b" 503 " in second.text
    assert b"stream=false" in second.text
    service.tell("still")
    assert first.data()["message"] == "still"


def test_who_reads_too_slowly_is_cut_with_a_last_event_that_says_so(serve) -> None:
    service = serve()
    slow = service.follow(wait=False)
    slow.until(b"\n\n")
    quick = service.follow()
    text = "x" * 60_000
    # The kernel takes some megabytes before anything waits here.
    count = 0
    while service.stream.listeners == 2 and not _cut(service):
        service.tell(str(count), data={"text": text})
        assert quick.data()["message"] == str(count)
        count += 1
        assert count * len(text) < 40 * BACKLOG_BYTES
    with contextlib.suppress(ConnectionResetError):
        while slow.fill():
            pass
    told = slow.text.decode().split("\n\n")
    assert told[-1] == ""
    assert told[-2].startswith("event: end\n")
    assert "faster than they are read" in told[-2]
    # What came before is whole, and in order.
    found = [json.loads(part.partition("data: ")[2]) for part in told[:-2] if "data: " in part]
    assert [event["message"] for event in found] == [str(n) for n in range(len(found))]
    again = service.follow("/v1/events", f"Last-Event-ID: {found[-1]['id']}")
    assert again.data()["message"] == str(len(found))


def _cut(service: Service) -> bool:
    return any(listener.ending for listener in list(service.stream._listeners.values()))


def test_who_takes_nothing_at_all_is_let_go(serve) -> None:
    service = serve(_stall_seconds=0.2)
    stuck = service.follow(wait=False)
    stuck.until(b"\n\n")
    for _ in range(100):
        service.tell("x", data={"text": "x" * 60_000})
        if service.stream.listeners == 0:
            return
        time.sleep(0.02)
    until(lambda: service.stream.listeners == 0)


def test_the_thread_ends_with_the_last_listener_and_comes_back(service) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    assert "events" not in names()
    for _ in range(3):
        follower = service.follow()
        assert "events" in names()
        follower.sock.close()
        until(lambda: "events" not in names())


def test_stopping_tells_all_and_waits_for_nothing_else(serve) -> None:
    service = serve()
    followers = [service.follow() for _ in range(20)]
    began = time.monotonic()
    service.stream.stop(PATIENCE)
    service.server.stop(PATIENCE)
    assert time.monotonic() - began < AT_ONCE
    for follower in followers:
        event = follower.event()
        assert event["event"] == "end"
        assert "stopping" in event["data"]
        assert not follower.fill()


def test_a_password_is_asked_for_here_too(tmp_path, settings, store, bus, serve) -> None:
    import bcrypt

    from api.settings import Settings

    users = tmp_path / "users"
    users.write_bytes(b"op:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    guarded = Settings(auth_strategy="http_basic", http_basic_auth_user_file=str(users))
    client = create_app(guarded, store, bus).test_client()
    assert client.get("/v1/events").status_code == 401
    assert client.get("/v1/events", auth=("op", "secret")).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/events", {"Accept": "application/json"}),
        ("/v1/events?stream=false", {}),
        ("/v1/events", {"Accept": "application/json, */*"}),
    ],
)
def test_who_wants_json_gets_pages(api, path, headers) -> None:
    node = api.node(name="rack-1")
    page = api.get(path, headers=headers)
    assert page.mimetype == "application/json"
    (event,) = page.json["events"]
    assert (event["node"], event["node_name"], event["kind"]) == (node["uuid"], "rack-1", "enroll")
    after = f"{path}{'&' if '?' in path else '?'}after={page.json['next_after']}"
    assert api.get(after, headers=headers).json == {
        "events": [],
        "next_after": page.json["next_after"],
    }


def test_pages_go_on_where_the_last_one_ended_whatever_is_filtered_out(api, store) -> None:
    with store.write() as session:
        for number in range(25):
            events.record(
                session,
                node_id=None,
                at=store.clock.now(),
                source="api",
                kind="odd" if number % 2 else "even",
                message=str(number),
            )
    found, after = [], 0
    while True:
        page = api.get(f"/v1/events?stream=no&kind=odd&limit=5&after={after}").json
        if not page["events"]:
            break
        found += [event["message"] for event in page["events"]]
        after = page["next_after"]
    assert found == [str(number) for number in range(1, 25, 2)]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("after=x", {}),
        ("after=-1", {}),
        ("limit=0&stream=false", {}),
        ("stream=perhaps", {}),
        ("colour=red", {}),
        ("", {"Last-Event-ID": "yesterday"}),
    ],
)
def test_a_wrong_argument_is_400(api, query, headers) -> None:
    assert api.get(f"/v1/events?{query}", headers=headers).status_code == 400


def test_a_node_that_is_not_there_is_404(api) -> None:
    assert api.get("/v1/events?node=nobody").status_code == 404


def test_another_type_than_these_two_is_406(api) -> None:
    answer = api.get("/v1/events", headers={"Accept": "text/html"})
    assert answer.status_code == 406


def test_under_another_server_the_stream_is_what_there_is(api) -> None:
    api.node()
    answer = api.get("/v1/events?after=0", headers={"Accept": "text/event-stream"})
    assert answer.mimetype == "text/event-stream"
    assert "event: enroll\n" in answer.text
