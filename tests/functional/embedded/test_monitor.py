"""Watching over a process: its health, its metrics, its events and its log, from outside."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.functional.embedded.conftest import free_port
from tests.patience import AT_ONCE, PATIENCE, until

ID = "req-11111111-2222-3333-4444-555555555555"


def get(url: str) -> Any:
    return urllib3.request("GET", url, retries=False, timeout=PATIENCE)


def ready(url: str) -> Any:
    """Its answer, once it is: who looks while the machine stands still is told otherwise."""
    return until(
        lambda: (told := get(f"{url}/readyz")).status == 200 and told,
        lambda: get(f"{url}/readyz").data,
    )


@pytest.fixture
def monitor(config: Path) -> str:
    """The address of the monitor, configured."""
    port = free_port()
    with config.open("a") as file:
        file.write(f"[serve]\nmonitor_listen = 127.0.0.1:{port}\n")
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(("role", "own"), [("conductor", "conductor"), ("netboot", "netboot")])
def test_a_process_without_an_api_has_an_address_for_those_who_watch(
    serve: Any, monitor: str, role: str, own: str
) -> None:
    served = serve("--role", role)
    assert f"monitor       {monitor}" in served.until("Ctrl-C stops it.")
    assert json.loads(get(f"{monitor}/healthz").data) == {"alive": True}
    checks = json.loads(ready(monitor).data)["checks"]
    assert set(checks) == {"database", "bus", "services" if role == "netboot" else own}
    metrics = get(f"{monitor}/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert f"# TYPE drophammer_{own}_" in metrics.data.decode()
    assert get(f"{monitor}/readyz?only=weather").status == 400
    assert get(f"{monitor}/v1/nodes").status == 404
    assert urllib3.request("POST", f"{monitor}/healthz", retries=False).status == 405
    assert served.stop() < AT_ONCE


def test_with_an_api_and_a_monitor_the_metrics_are_at_the_monitor_only(
    serve: Any, monitor: str
) -> None:
    served = serve()
    served.until("Ctrl-C stops it.")
    ready(served.url)
    assert get(f"{served.url}/metrics").status == 404
    text = get(f"{monitor}/metrics").data.decode()
    assert 'route="/readyz"' in text
    assert "drophammer_conductor_leases 0.0" in text
    assert "drophammer_api_event_listeners 0.0" in text


def test_an_address_that_is_taken_is_told_and_nothing_is_started(
    run: Any, config: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with config.open("a") as file:
            file.write(f"[serve]\nmonitor_listen = 127.0.0.1:{port}\n")
        code, _, complaint = run(
            *("serve", "--config-file", str(config), "--state-dir", str(tmp_path / "state")),
            *("--listen", f"127.0.0.1:{free_port()}"),
        )
    assert code == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in complaint


def test_events_come_as_they_happen_and_end_with_the_process(serve: Any) -> None:
    served = serve()
    served.until("Ctrl-C stops it.")
    host, _, port = served.url.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(b"GET /v1/events?kind=enroll HTTP/1.1\r\nHost: h\r\n\r\n")
        stream = client.makefile("rb")
        line_of(stream, b"retry: ")
        urllib3.request("POST", f"{served.url}/v1/nodes", json={"driver": "fake-hardware"})
        assert line_of(stream, b"event: ") == b"event: enroll\n"
        assert b"enrolled with driver fake-hardware" in line_of(stream, b"data: ")
        assert served.stop() < AT_ONCE
        assert line_of(stream, b"event: ") == b"event: end\n"


def line_of(stream: Any, beginning: bytes) -> bytes:
    for line in stream:
        if line.startswith(beginning):
            return bytes(line)
    raise AssertionError(f"the stream ended before {beginning!r}")


def test_one_id_finds_a_request_in_all_lines_of_a_log_of_json(
    serve: Any, config: Path, tmp_path: Path
) -> None:
    text = config.read_text()
    config.write_text(f"[DEFAULT]\nlog_format = json\n{text}")
    log = tmp_path / "log"
    served = serve("--log-file", str(log))
    served.until("Ctrl-C stops it.")
    # Without a version it is available at once.
    answer = urllib3.request("POST", f"{served.url}/v1/nodes", json={"driver": "fake-hardware"})
    uuid = answer.json()["uuid"]
    answer = urllib3.request(
        "PUT",
        f"{served.url}/v1/nodes/{uuid}/states/provision",
        json={"target": "active"},
        headers={"X-Request-Id": ID, "X-OpenStack-Ironic-API-Version": "1.80"},
    )
    assert answer.status == 202, answer.data
    assert answer.headers["x-openstack-request-id"] == ID
    served.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ours = [line for line in lines if line.get("request_id") == ID and line.get("node") == uuid]
    assert {line["logger"] for line in ours} >= {"api.access", "conductor.held"}
