"""What a ramdisk tells of its own boot becomes an event of its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from netboot.server import NetbootServer

MAC = "52:54:00:22:00:01"

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


def test_a_failed_stage_is_an_event_that_names_it(deployment: Any, http_get: Get) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    path = f"boot/{spec.key}/stage?stage=login&outcome=failed&text=no+disk%0a%C3%A9,+LUN%207"
    assert http_get(server, path) == (200, b"noted\n")
    http_get(server, path.replace("login", "mount"))
    first, second = deployment.wait_events(node_id, lambda seen: len(seen) >= 2)
    assert (first.kind, first.message) == (
        "ramdisk",
        "ramdisk: stage login failed: no disk??, LUN 7",
    )
    assert first.data == {"stage": "login", "outcome": "failed", "client": "127.0.0.1"}
    assert second.message.startswith("ramdisk: stage mount failed")


@pytest.mark.parametrize(
    "query", ["", "stage=login", "stage=Login&outcome=failed", "stage=a%0a&outcome=done"]
)
def test_a_report_that_makes_no_sense_is_refused(
    deployment: Any, http_get: Get, query: str
) -> None:
    server = deployment.server()
    server.start()
    spec = deployment.boots(deployment.node(MAC))
    status, body = http_get(server, f"boot/{spec.key}/stage?{query}")
    assert (status, body[:11]) == (400, b"A report ha")


def test_a_report_of_a_boot_that_is_over_is_refused_and_no_event(
    deployment: Any, http_get: Get, tftp_get: Get
) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    report = "stage?stage=login&outcome=failed"
    assert http_get(server, f"boot/another-key/{report}")[0] == 404
    assert tftp_get(server, f"boot/{spec.key}/stage")[0] == 102
    http_get(server, f"boot/{spec.key}/stage?stage=login&outcome=done")
    (only,) = deployment.wait_events(node_id, lambda seen: len(seen) >= 1)
    assert only.message == "ramdisk: stage login done"
