"""Alive, ready, counted: what is told to those who watch over the API."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import event, update

from api.app import create_app
from api.settings import Settings
from drophammer.health import Health
from drophammer.model import Conductor
from tests.patience import AT_ONCE, PATIENCE, until


class Line:
    """A bus of which one may say that it does not work."""

    def __init__(self) -> None:
        self.wrong = ""

    def trouble(self) -> str:
        return self.wrong


def ready(client: Any) -> Any:
    """The answer of ``/readyz``, once it says so: where the machine stands still it does not."""
    return until(lambda: (answer := client.get("/readyz")).status_code == 200 and answer)


def test_a_process_that_answers_is_alive(api) -> None:
    assert api.get("/healthz").json == {"alive": True}


def test_one_with_database_bus_and_conductor_is_ready(api) -> None:
    assert ready(api).json == {
        "ready": True,
        "checks": {"database": None, "bus": None, "conductors": None},
    }


def test_without_a_conductor_that_beats_it_is_not_ready_and_says_so(api) -> None:
    with api.store.write() as session:
        session.execute(update(Conductor).values(online=False))
    # A balancer that wants to have reads answered asks for less.
    until(lambda: api.get("/readyz?only=database,bus").status_code == 200)
    answer = until(lambda: (told := api.get("/readyz")).json["checks"]["database"] is None and told)
    assert answer.status_code == 503
    assert answer.json["checks"]["conductors"] == "no conductor is alive"
    assert api.get("/readyz?only=conductors").status_code == 503


def test_an_unknown_check_is_400(api) -> None:
    answer = api.get("/readyz?only=weather")
    assert answer.status_code == 400
    assert "database" in api.fault(answer)


def test_a_bus_in_trouble_is_told_in_its_own_words(settings, store, bus) -> None:
    line = Line()
    checks = Health(store, line)
    client = create_app(settings, store, bus, checks=checks).test_client()
    ready(client)
    line.wrong = "the broker is away"
    # It is asked once a second at most.
    told = until(lambda: client.get("/readyz").json["checks"]["bus"])
    assert told == "the broker is away"


def test_a_database_that_hangs_makes_it_not_ready_though_it_hangs_on(settings, store, bus) -> None:
    client = create_app(settings, store, bus).test_client()
    go_on = threading.Event()

    @event.listens_for(store.engine, "before_cursor_execute")
    def hang(*_: object) -> None:
        go_on.wait(PATIENCE)

    try:
        began = time.monotonic()
        answer = client.get("/readyz")
        assert time.monotonic() - began < AT_ONCE
        assert answer.status_code == 503
        assert "within 1 s" in answer.json["checks"]["database"]
        assert "not known" in answer.json["checks"]["conductors"]
        assert client.get("/healthz").status_code == 200
    finally:
        go_on.set()
        event.remove(store.engine, "before_cursor_execute", hang)


def test_asking_all_the_time_asks_the_database_once_a_second(api, sql) -> None:
    ready(api)
    sql.clear()
    began = time.monotonic()
    for _ in range(50):
        api.get("/readyz")
    seconds = 1 + int(time.monotonic() - began)
    assert sql.count <= 3 * seconds


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_nobody_is_asked_for_a_password(tmp_path, store, bus, path) -> None:
    users = tmp_path / "users"
    users.write_text("")
    settings = Settings(auth_strategy="http_basic", http_basic_auth_user_file=str(users))
    client = create_app(settings, store, bus).test_client()
    until(lambda: client.get(path).status_code == 200)
    assert client.get("/v1/nodes").status_code == 401


def test_requests_are_counted_by_route_and_never_by_node(api) -> None:
    node = api.node(name="secret-name")
    api.get("/v1/nodes/secret-name")
    api.get(f"/v1/nodes/{node['uuid']}")
    api.get("/v1/nodes/nobody")
    api.get("/nowhere/at/all")
    answer = api.get("/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    series = "drophammer_api_request_seconds_count"
    shown = 'method="GET",route="/v1/nodes/{ident}"'
    counted = {line.split("} ")[0]: line.split("} ")[1] for line in lines if series in line}
    assert float(counted[f'{series}{{{shown},status="2xx"']) >= 2
    assert float(counted[f'{series}{{{shown},status="4xx"']) >= 1
    assert float(counted[f'{series}{{method="none",route="none",status="4xx"']) >= 1
    assert "secret-name" not in answer.text
    assert node["uuid"] not in answer.text
    assert "process_resident_memory_bytes" in answer.text


def test_metrics_may_have_an_address_of_their_own(store, bus) -> None:
    client = create_app(Settings(metrics=False), store, bus).test_client()
    assert client.get("/metrics").status_code == 404


def test_a_balancer_before_ramdisks_sees_who_is_fit_and_no_more(settings, store, bus) -> None:
    client = create_app(settings, store, bus, ramdisk_only=True).test_client()
    assert client.get("/healthz").json == {"alive": True}
    assert ready(client).json["ready"] is True
    for path in ("/metrics", "/v1/events", "/v1/nodes", "/docs"):
        assert client.get(path).status_code == 404


IDS = {"X-Openstack-Request-Id": "req-11111111-2222-3333-4444-555555555555"}


@pytest.mark.parametrize("header", ["X-Openstack-Request-Id", "X-Request-Id"])
def test_a_request_keeps_the_id_that_it_brings(api, header) -> None:
    told = IDS["X-Openstack-Request-Id"]
    answer = api.get("/v1/nodes", headers={header: told})
    assert answer.headers["x-openstack-request-id"] == told
    assert answer.headers["openstack-request-id"] == told


@pytest.mark.parametrize("text", ["x", "req-1", "req-" + "x" * 36, "", "req-" + "1" * 36])
def test_what_is_no_id_is_not_taken_for_one(api, text) -> None:
    answer = api.get("/v1/nodes", headers={"X-Openstack-Request-Id": text})
    assert answer.headers["x-openstack-request-id"] != text
    assert answer.headers["x-openstack-request-id"].startswith("req-")
