"""What other services are notified of by the API: before, behind, or that it was refused."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest

from drophammer.notifications import Notification, Notifier
from tests.patience import PATIENCE


@pytest.fixture
def sent() -> Iterator[queue.Queue[Notification]]:
    found: queue.Queue[Notification] = queue.Queue()
    notifier = Notifier(found.put, "host-1", "info")
    notifier.start()
    yield found
    notifier.stop()


def take(sent: queue.Queue[Notification], count: int) -> list[tuple[str, dict[str, Any]]]:
    found = [sent.get(timeout=PATIENCE) for _ in range(count)]
    assert sent.empty()
    assert {one.publisher for one in found} == {"ironic-api.host-1"}
    return [(one.event_type, one.payload["ironic_object.data"]) for one in found]


def test_a_node_s_life_is_told_with_its_secrets_masked(api, sent) -> None:
    node = api.node(name="rack-1", driver_info={"ipmi_password": "hunter2"})
    (begun, before), (done, after) = take(sent, 2)
    assert (begun, done) == ("baremetal.node.create.start", "baremetal.node.create.end")
    assert before["uuid"] == after["uuid"] == node["uuid"]
    assert after["driver_info"] == {"ipmi_password": "******"}
    assert after["provision_state"] == "enroll"
    api.patch("/v1/nodes/rack-1", [{"op": "replace", "path": "/description", "value": "new"}])
    (begun, before), (done, after) = take(sent, 2)
    assert (begun, done) == ("baremetal.node.update.start", "baremetal.node.update.end")
    assert (before["description"], after["description"]) == (None, "new")
    api.put("/v1/nodes/rack-1/maintenance", {"reason": "fan"})
    (begun, before), (done, after) = take(sent, 2)
    assert done == "baremetal.node.maintenance_set.end"
    assert (before["maintenance"], after["maintenance_reason"]) == (False, "fan")
    assert "driver_info" not in after
    api.delete("/v1/nodes/rack-1")
    (begun, before), (done, after) = take(sent, 2)
    assert (begun, done) == ("baremetal.node.delete.start", "baremetal.node.delete.end")
    assert after["name"] == "rack-1"


def test_what_is_refused_is_an_error(api, sent) -> None:
    node = api.node(name="rack-1")
    take(sent, 2)
    api.lease(node["uuid"])
    api.delete("/v1/nodes/rack-1")
    (begun, _), (failed, _) = take(sent, 2)
    assert (begun, failed) == ("baremetal.node.delete.start", "baremetal.node.delete.error")


def test_of_what_is_not_there_nothing_is_told(api, sent) -> None:
    assert api.delete("/v1/nodes/nobody").status_code == 404
    assert sent.empty()


def test_ports_and_the_other_nouns_are_told_too(api, sent) -> None:
    node = api.node()
    take(sent, 2)
    port = {"node_uuid": node["uuid"], "address": "52:54:00:00:00:01"}
    made = api.post("/v1/ports", port).json
    (begun, _), (done, data) = take(sent, 2)
    assert (begun, done) == ("baremetal.port.create.start", "baremetal.port.create.end")
    assert (data["address"], data["node_uuid"]) == (port["address"], node["uuid"])
    api.delete(f"/v1/ports/{made['uuid']}")
    assert take(sent, 2)[1][0] == "baremetal.port.delete.end"
    for path, body, noun in (
        ("/v1/chassis", {"description": "x"}, "chassis"),
        ("/v1/portgroups", {"node_uuid": node["uuid"]}, "portgroup"),
        (
            "/v1/volume/connectors",
            {"node_uuid": node["uuid"], "type": "iqn", "connector_id": "iqn.2004-05.x:a"},
            "volumeconnector",
        ),
        (
            "/v1/volume/targets",
            {
                "node_uuid": node["uuid"],
                "volume_type": "iscsi",
                "boot_index": 0,
                "volume_id": "1",
                "properties": {"auth_password": "x"},
            },
            "volumetarget",
        ),
    ):
        answer = api.post(path, body)
        assert answer.status_code == 201, answer.text
        (begun, _), (done, data) = take(sent, 2)
        assert (begun, done) == (f"baremetal.{noun}.create.start", f"baremetal.{noun}.create.end")
        assert data["uuid"] == answer.json["uuid"]
    assert data["properties"] == {"auth_password": "******"}


def test_the_same_statements_are_run_as_ever_when_nobody_is_told(api, sql) -> None:
    api.node(name="rack-1")
    sql.clear()
    api.patch("/v1/nodes/rack-1", [{"op": "replace", "path": "/description", "value": "new"}])
    quiet = sql.count
    found: queue.Queue[Notification] = queue.Queue()
    notifier = Notifier(found.put, "host-1", "info")
    notifier.start()
    sql.clear()
    api.patch("/v1/nodes/rack-1", [{"op": "replace", "path": "/description", "value": "newer"}])
    notifier.stop()
    assert sql.count > quiet
