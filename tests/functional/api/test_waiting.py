"""Requests for a node that somebody holds: they wait a little, in order, and disturb nobody."""

from __future__ import annotations

import dataclasses
import http.client
import json
import threading
import time

import pytest
from sqlalchemy import select

from api.app import create_app
from api.server import ApiServer, listen
from api.settings import THREADS
from drophammer.errors import NodeLocked
from drophammer.model import Agent, Node
from tests.functional.api.test_ramdisk import URL
from tests.patience import AT_ONCE, PATIENCE, until

TOKEN = "t" * 43


class Service:
    """The API over HTTP, with a node that somebody holds and in whose ramdisk an agent is."""

    def __init__(self, api, app, port: int) -> None:
        self.api = api
        self.port = port
        self.room = app._services.waiting
        self.node = api.node(name="rack-1")["uuid"]
        self.answers: list[tuple[str, int, str]] = []
        self.threads: list[threading.Thread] = []
        with api.store.write() as session:
            node_id = session.scalars(select(Node.id)).one()
            session.add(Agent(node_id=node_id, token=TOKEN, token_shown=True, url=URL, beats=0))
        api.set(self.node, provision_state="clean wait")
        api.lease(self.node)

    def ask(self, method: str, path: str, body=None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE + 5)
        headers = {
            "X-OpenStack-Ironic-API-Version": "1.115",
            "Content-Type": "application/json",
        }
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def line_up(self, name: str, method: str, path: str, body=None) -> None:
        """Ask in a thread, and return as soon as the request waits."""
        before = self.room.waiting(self.node)

        def run() -> None:
            self.answers.append((name, *self.ask(method, f"/v1/nodes/{self.node}{path}", body)))

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()
        until(lambda: self.room.waiting(self.node) > before, lambda: self.answers, pause=0.002)

    def join(self) -> list[tuple[str, int]]:
        for thread in self.threads:
            thread.join(PATIENCE)
        return [(name, status) for name, status, _ in self.answers]


@pytest.fixture
def service(settings, store, bus, api):
    patient = dataclasses.replace(settings, locked_attempts=1, locked_pause=PATIENCE)
    listening = listen("127.0.0.1", 0)
    app = create_app(patient, store, bus)
    server = ApiServer(app, [listening])
    server.start()
    made = Service(api, app, listening.getsockname()[1])
    yield made
    api.set(made.node, lease_owner=None)
    made.join()
    server.stop()


def patch(number: int) -> list[dict[str, object]]:
    return [{"op": "add", "path": "/extra/last", "value": number}]


def test_changes_and_verbs_of_a_held_node_are_served_in_the_order_in_which_they_came(
    service, conductor
) -> None:
    service.line_up("first", "PATCH", "", patch(1))
    service.line_up("second", "PUT", "/management/boot_device", {"boot_device": "pxe"})
    service.line_up("third", "PATCH", "", patch(3))
    service.line_up("fourth", "PUT", "/maintenance", {"reason": "x"})
    assert conductor.nothing_came()
    service.api.set(service.node, lease_owner=None)
    answers = service.join()
    # Whose answer arrives first is another matter.
    assert dict(answers) == {"first": 200, "second": 204, "third": 200, "fourth": 202}
    assert conductor.next()[0] == "set_boot_device"
    node = service.api.get(f"/v1/nodes/{service.node}").json
    assert (node["extra"], node["maintenance_reason"]) == ({"last": 3}, "x")


def test_a_verb_that_finds_the_node_held_is_asked_again(service, conductor) -> None:
    locked = NodeLocked(f"Node {service.node} is locked by host conductor-7")
    conductor.answers["set_boot_device"] = locked
    service.line_up("verb", "PUT", "/management/boot_device", {"boot_device": "pxe"})
    conductor.answers["set_boot_device"] = None
    assert service.join() == [("verb", 204)]


def test_with_the_room_full_reads_are_fast_and_the_next_change_is_refused_at_once(service) -> None:
    for number in range(THREADS // 2):
        service.line_up(f"waits {number}", "PATCH", "", patch(number))
    began = time.monotonic()
    for path in ("", "/lease", "/operations", "/states", "/events"):
        assert service.ask("GET", f"/v1/nodes/{service.node}{path}")[0] == 200
    status, text = service.ask("PATCH", f"/v1/nodes/{service.node}", patch(99))
    assert time.monotonic() - began < AT_ONCE
    assert status == 409
    assert "locked by host conductor-7" in text
    assert "(It is held for: deploying, since " in text
    assert service.answers == []


def test_a_heartbeat_waits_for_no_lease_and_is_not_lost(service, conductor) -> None:
    for number in range(THREADS // 2):
        service.line_up(f"waits {number}", "PATCH", "", patch(number))
    body = {"callback_url": URL, "agent_token": TOKEN, "agent_version": "13.0.0"}
    began = time.monotonic()
    for _ in range(3):
        assert service.ask("POST", f"/v1/heartbeat/{service.node}", body)[0] == 202
    assert time.monotonic() - began < AT_ONCE
    with service.api.store.read() as session:
        assert session.scalars(select(Agent.beats)).one() == 3
    assert [conductor.next()[0] for _ in range(3)] == ["heartbeats"] * 3


def test_a_change_whose_patience_ends_names_holder_purpose_and_time(api, conductor) -> None:
    node = api.node()
    api.lease(node["uuid"])
    answer = api.patch(f"/v1/nodes/{node['uuid']}", patch(1))
    assert answer.status_code == 409
    assert "locked by host conductor-7" in api.fault(answer)
    assert "(It is held for: deploying, since " in api.fault(answer)
