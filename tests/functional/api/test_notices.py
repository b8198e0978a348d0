"""Events that other services report."""

from __future__ import annotations

import logging

import pytest

EVENT = {
    "event": "network.bind_port",
    "port_id": "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55",
    "mac_address": "de:ad:ca:fe:ba:be",
    "status": "ACTIVE",
    "device_id": None,
    "binding:host_id": "6b0ae3a1-3a53-4b02-9a3f-1f7d1a7d1c55",
    "binding:vnic_type": "baremetal",
}


def test_an_event_is_logged(api, caplog) -> None:
    with caplog.at_level(logging.INFO, "api.notices"):
        answer = api.post("/v1/events", {"events": [EVENT, EVENT]})
    assert (answer.status_code, answer.data) == (204, b"")
    assert len([line for line in caplog.messages if "network.bind_port" in line]) == 2


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"events": []},
        {"events": [{}]},
        {"events": [{**EVENT, "event": "volume.gone"}]},
        {"events": [{**EVENT, "mac_address": "x"}]},
        {"events": [{**EVENT, "port_id": "x"}]},
        {"events": [{**EVENT, "colour": "red"}]},
        {"events": [EVENT], "more": 1},
    ],
)
def test_what_is_no_event_is_refused(api, body) -> None:
    assert api.post("/v1/events", body).status_code == 400


def test_events_came_with_a_version(api) -> None:
    assert api.at("1.53").post("/v1/events", {"events": [EVENT]}).status_code == 404
    assert "events" not in api.at("1.53").get("/v1").json
    assert "events" in api.at("1.54").get("/v1").json
