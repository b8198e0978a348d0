"""Notifications over RabbitMQ, as a consumer gets them who knows nothing of our settings."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from oslo_config import cfg

from cluster.lending import free_ports
from cluster.rabbitmq import RabbitMQ
from cluster.role import Role
from drophammer.bus_threads import oslo_messaging
from tests.integration.bus.conftest import until
from tests.patience import PATIENCE

VERSION = {"X-OpenStack-Ironic-API-Version": "1.90"}


class Consumer:
    """Keeps what a listener of OpenStack's library hands it."""

    def __init__(self) -> None:
        self.found: queue.Queue[dict[str, Any]] = queue.Queue()

    def info(self, context: Any, publisher: str, event: str, payload: Any, about: Any) -> None:
        told = {"publisher": publisher, "event": event, "payload": payload, "context": context}
        self.found.put(told)

    def until(self, event: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while not found or found[-1]["event"] != event:
            found.append(self.found.get(timeout=PATIENCE))
        return found


@pytest.fixture
def service(place: Path, broker: RabbitMQ) -> Iterator[Role]:
    """API and conductor of one process, whose own bus is that broker too."""
    options: dict[str, dict[str, object]] = {
        "DEFAULT": {
            "host": "rack",
            "transport_url": broker.url,
            "notification_level": "info",
        },
        "oslo_messaging_notifications": {"driver": "messagingv2"},
    }
    made = Role(place / "notifying", free_ports(1), "notifying", "api,conductor", options)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def consumer(broker: RabbitMQ) -> Iterator[Consumer]:
    conf = cfg.ConfigOpts()
    conf([], project="consumer", default_config_files=[])
    transport = oslo_messaging.get_notification_transport(conf, broker.url)
    made = Consumer()
    listener = oslo_messaging.get_notification_listener(
        transport,
        [oslo_messaging.Target(exchange="ironic", topic="ironic_versioned_notifications")],
        [made],
        executor="threading",
    )
    listener.start()
    yield made
    listener.stop()
    listener.wait()
    transport.cleanup()


def ask(service: Role, method: str, path: str, body: Any) -> requests.Response:
    url = f"{service.url}{path}"
    return requests.request(method, url, json=body, headers=VERSION, timeout=PATIENCE)


def test_a_consumer_with_the_library_s_defaults_gets_versioned_payloads(
    service: Role, consumer: Consumer
) -> None:
    body = {"driver": "fake-hardware", "name": "one", "driver_info": {"ipmi_password": "hunter2"}}
    uuid = ask(service, "POST", "/v1/nodes", body).json()["uuid"]
    begun, done = consumer.until("baremetal.node.create.end")
    assert begun["event"] == "baremetal.node.create.start"
    assert done["publisher"] == "ironic-api.rack"
    payload = done["payload"]
    assert payload["ironic_object.namespace"] == "ironic"
    assert payload["ironic_object.name"] == "NodeCRUDPayload"
    assert payload["ironic_object.version"].startswith("1.")
    data = payload["ironic_object.data"]
    assert (data["uuid"], data["name"], data["provision_state"]) == (uuid, "one", "enroll")
    assert data["driver_info"] == {"ipmi_password": "******"}
    verb = {"target": "manage"}
    path = f"/v1/nodes/{uuid}/states/provision"
    until(lambda: ask(service, "PUT", path, verb).status_code == 202)
    done = consumer.until("baremetal.node.provision_set.end")[-1]
    assert done["publisher"] == "ironic-conductor.rack"
    assert done["payload"]["ironic_object.name"] == "NodeSetProvisionStatePayload"
    assert done["payload"]["ironic_object.data"]["provision_state"] == "manageable"
