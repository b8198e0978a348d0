"""One API and several conductors as processes of their own: what was accepted is done, and
what was refused is not, whoever is killed.

They share an sqlite file: the database is not what is tried here.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from cluster.engine import HOST
from cluster.lending import free_ports
from cluster.rabbitmq import RabbitMQ
from cluster.role import Role
from tests.integration.bus.conftest import until
from tests.patience import AT_ONCE, PATIENCE

VERSION = {"X-OpenStack-Ironic-API-Version": "1.90"}
NODES = 24


class Site:
    """The processes, and a client of the API."""

    def __init__(self, place: Path, broker: RabbitMQ) -> None:
        self._place = place
        self._broker = broker
        self._port = free_ports(8)
        self._made: list[Role] = []
        place.mkdir()
        self._make()

    def _make(self) -> None:
        self.api = self._role("api", "api", self._port)
        self.conductors = [
            self._role(f"conductor-{n}", "conductor", self._port + n) for n in (1, 2)
        ]

    def start(self) -> None:
        for role in (self.api, *self.conductors):
            role.start()
        # The API knows of a conductor, and so of drivers.
        until(lambda: self.ask("GET", "/readyz").status_code == 200)

    def stop(self) -> None:
        for role in reversed(self._made):
            role.stop()

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method, f"{self.api.url}{path}", json=body, headers=VERSION, timeout=PATIENCE
        )

    def nodes(self, count: int, **fields: str) -> list[str]:
        """New nodes, managed."""
        made: list[str] = []
        for _ in range(count):
            reply = self.ask("POST", "/v1/nodes", {"driver": "fake-hardware", **fields})
            assert reply.status_code == 201, reply.text
            made.append(reply.json()["uuid"])
            until(lambda uuid=made[-1]: self.provision(uuid, "manage") == 202)
        until(lambda: self.states(made) == {"manageable"})
        return made

    def states(self, uuids: Sequence[str]) -> set[str]:
        found = self.ask("GET", "/v1/nodes?fields=uuid,provision_state&limit=1000").json()
        return {n["provision_state"] for n in found["nodes"] if n["uuid"] in uuids}

    def provision(self, uuid: str, target: str) -> int:
        return self.verb(uuid, target).status_code

    def verb(self, uuid: str, target: str) -> requests.Response:
        return self.ask("PUT", f"/v1/nodes/{uuid}/states/provision", {"target": target})

    def reboot(self, uuid: str) -> requests.Response:
        return self.ask("PUT", f"/v1/nodes/{uuid}/states/power", {"target": "rebooting"})

    def operations(self, uuid: str, verb: str) -> list[dict[str, Any]]:
        reply = self.ask("GET", f"/v1/nodes/{uuid}/operations").json()
        return [one for one in reply["operations"] if one["verb"] == verb]

    def _role(self, name: str, role: str, port: int, **conductor: str) -> Role:
        options: dict[str, dict[str, object]] = {
            "DEFAULT": {"host": name, "transport_url": self._broker.url},
            "database": {"connection": f"sqlite:///{self._place}/shared.sqlite"},
            "bus": {"signing_key": "a long random text"},
            "conductor": {"heartbeat_interval": 1, "heartbeat_timeout": 5, **conductor},
        }
        if "api" not in role:
            options["serve"] = {"monitor_listen": f"{HOST}:{port}"}
        self._made.append(Role(self._place / name, port, name, role, options))
        return self._made[-1]


class Together(Site):
    """A conductor in the API's process, and one for another group elsewhere."""

    def _make(self) -> None:
        self.api = self._role("both", "api,conductor", self._port)
        self.conductors = [
            self._role("far", "conductor", self._port + 1, conductor_group="far-away")
        ]


@pytest.fixture
def together(place: Path, broker: RabbitMQ) -> Iterator[Site]:
    made = Together(place / "together", broker)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def site(place: Path, broker: RabbitMQ, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(place / request.node.name[:40], broker)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_while_the_broker_is_away_reads_work_and_verbs_say_why_they_do_not(
    site: Site, broker: RabbitMQ
) -> None:
    uuid = site.nodes(1)[0]
    broker.kill()
    waits = []
    for _ in range(11):
        began = time.monotonic()
        reply = site.reboot(uuid)
        waits.append(time.monotonic() - began)
        assert reply.status_code == 503
        assert "message bus" in reply.text
    assert waits[0] < AT_ONCE
    # To find it out again each time would take longer together.
    assert sum(waits[1:]) < AT_ONCE
    began = time.monotonic()
    for _ in range(10):
        assert site.states([uuid]) == {"manageable"}
    assert time.monotonic() - began < AT_ONCE
    broker.start()
    until(lambda: site.reboot(uuid).status_code == 202)
    # None of those that were refused was done after all.
    assert len(site.operations(uuid, "rebooting")) == 1


def test_a_verb_is_done_once_if_accepted_and_not_at_all_if_refused_whoever_is_killed(
    site: Site,
) -> None:
    uuids = site.nodes(NODES)
    stop = threading.Event()

    def trouble() -> None:
        turn = 0
        while not stop.wait(0.3):
            victim = site.conductors[turn % 2]
            victim.kill()
            victim.start()
            turn += 1

    def ask(uuid: str) -> tuple[str, int]:
        return uuid, site.provision(uuid, "provide")

    killer = threading.Thread(target=trouble)
    killer.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = dict(pool.map(ask, uuids))
    finally:
        stop.set()
        killer.join()
    for uuid, status in answers.items():
        assert status in (202, 503)
        assert len(site.operations(uuid, "provide")) == (status == 202)
    accepted = [uuid for uuid, status in answers.items() if status == 202]
    assert accepted
    until(lambda: site.states(accepted) == {"available"})


def test_a_conductor_that_is_asked_to_stop_refuses_nothing_and_loses_nothing(site: Site) -> None:
    uuids = site.nodes(NODES)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(site.verb, uuid, "provide") for uuid in uuids]
        site.conductors[0].stop()
    assert [
        reply.text for reply in (one.result() for one in asked) if reply.status_code != 202
    ] == []
    until(lambda: site.states(uuids) == {"available"})


def test_without_a_conductor_a_verb_is_refused_at_once(site: Site) -> None:
    uuid = site.nodes(1)[0]
    for conductor in site.conductors:
        conductor.kill()
    # As soon as the broker has seen that they are gone.
    until(lambda: "No conductor is running" in site.reboot(uuid).text)
    began = time.monotonic()
    for _ in range(10):
        assert site.reboot(uuid).status_code == 503
    assert time.monotonic() - began < AT_ONCE
    assert site.operations(uuid, "rebooting") == []


def test_with_a_conductor_in_its_process_the_api_needs_no_broker_for_what_that_can_do(
    together: Site, broker: RabbitMQ
) -> None:
    until(lambda: "far" in together.ask("GET", "/v1/drivers/fake-hardware").json()["hosts"])
    [near] = together.nodes(1)
    [far] = together.nodes(1, conductor_group="far-away")
    broker.kill()
    until(lambda: together.reboot(far).status_code == 503)
    assert together.provision(near, "provide") == 202
    until(lambda: together.states([near]) == {"available"})
    broker.start()
    until(lambda: together.provision(far, "provide") == 202)
    until(lambda: together.states([far]) == {"available"})
    assert len(together.operations(near, "provide")) == 1
