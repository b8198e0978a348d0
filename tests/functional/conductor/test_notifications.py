"""What other services are notified of by a conductor: what, when, in which shape."""

from __future__ import annotations

import importlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from drophammer import metrics, notifications
from drophammer.errors import Invalid
from drophammer.notifications import Notification, Notifier
from embedded.options import load
from tests.patience import PATIENCE


class Inbox:
    """Stands for the message bus."""

    def __init__(self) -> None:
        self.found: queue.Queue[Notification] = queue.Queue()

    def __call__(self, notification: Notification) -> None:
        self.found.put(notification)

    def next(self) -> Notification:
        return self.found.get(timeout=PATIENCE)

    def until(self, event_type: str) -> list[Notification]:
        found = []
        while not found or found[-1].event_type != event_type:
            found.append(self.next())
        return found


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    notifier = Notifier(made, "host-1", "info")
    notifier.start()
    yield made
    notifier.stop()


def data(notification: Notification) -> dict[str, Any]:
    return dict(notification.payload["ironic_object.data"])


def test_a_deploy_begins_and_ends(scene: Any, inbox: Inbox) -> None:
    scene.start()
    node_id = scene.node("available", driver_info={"password": "hunter2"}, name="rack-1")
    scene.provision(node_id, "active")
    scene.until_state(node_id, "active")
    found = inbox.until("baremetal.node.provision_set.end")
    assert found[0].event_type == "baremetal.node.provision_set.start"
    first, last = found[0], found[-1]
    assert (first.publisher, first.level) == ("ironic-conductor.host-1", "info")
    assert {name: first.payload[f"ironic_object.{name}"] for name in ("namespace", "name")} == {
        "namespace": "ironic",
        "name": "NodeSetProvisionStatePayload",
    }
    begun, done = data(first), data(last)
    assert (begun["event"], begun["previous_provision_state"]) == ("deploy", "available")
    assert (begun["provision_state"], begun["target_provision_state"]) == ("deploying", "active")
    assert (done["provision_state"], done["previous_target_provision_state"]) == (
        "active",
        "active",
    )
    assert (begun["name"], begun["traits"]) == ("rack-1", [])
    assert "driver_info" not in begun
    assert begun["created_at"].endswith("+00:00")


def test_a_failure_is_an_error(scene: Any, inbox: Inbox) -> None:
    scene.start()
    node_id = scene.node("manageable", driver_info={"fake_fault": {"deploy": "disk on fire"}})
    scene.provision(node_id, "provide")
    scene.until_state(node_id, "clean failed")
    last = inbox.until("baremetal.node.provision_set.error")[-1]
    assert last.level == "error"
    assert data(last)["provision_state"] == "clean failed"


def test_what_needs_no_work_is_a_success(scene: Any, inbox: Inbox) -> None:
    scene.start()
    node_id = scene.node("available")
    scene.provision(node_id, "manage")
    told = inbox.next()
    assert told.event_type == "baremetal.node.provision_set.success"
    assert data(told)["previous_provision_state"] == "available"
    assert data(told)["provision_state"] == "manageable"


def test_power_says_where_it_is_to_go(scene: Any, inbox: Inbox) -> None:
    scene.start()
    node_id = scene.node("manageable", power_state="power off")
    scene.bus.call("conductor", "power", node_id=node_id, target="power on")
    begun = inbox.until("baremetal.node.power_set.start")[-1]
    done = inbox.until("baremetal.node.power_set.end")[-1]
    assert begun.payload["ironic_object.name"] == "NodeSetPowerStatePayload"
    assert (data(begun)["power_state"], data(begun)["to_power"]) == ("power off", "power on")
    assert (data(done)["power_state"], data(done)["to_power"]) == ("power on", "power on")


def test_power_that_cannot_be_switched_is_an_error(scene: Any, inbox: Inbox) -> None:
    scene.start()
    node_id = scene.node(
        "manageable", power_state="power off", driver_info={"fake_fault": {"power": "no fuse"}}
    )
    scene.bus.call("conductor", "power", node_id=node_id, target="power on")
    assert inbox.until("baremetal.node.power_set.error")[-1].level == "error"


def test_without_anybody_to_tell_nothing_is_made(scene: Any) -> None:
    def never() -> dict[str, Any]:
        raise AssertionError("a payload was made for nobody")

    notifications.emit("conductor", "node.power_set", "start", never)


def test_below_the_level_nothing_is_sent() -> None:
    inbox = Inbox()
    notifier = Notifier(inbox, "h", "error")
    notifier.start()
    try:
        notifications.emit("api", "node.create", "start", dict)
        notifications.emit("api", "node.create", "error", dict)
        assert inbox.next().event_type == "baremetal.node.create.error"
        assert inbox.found.empty()
    finally:
        notifier.stop()


def dropped() -> float:
    name = "drophammer_notifications_dropped_total "
    (line,) = [line for line in metrics.exposition().decode().splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


def test_a_bus_that_is_away_holds_up_nobody_and_what_is_lost_is_counted() -> None:
    go_on = threading.Event()
    sent: queue.Queue[Notification] = queue.Queue()

    def hang(notification: Notification) -> None:
        go_on.wait(PATIENCE)
        sent.put(notification)

    notifier = Notifier(hang, "h", "info", room=3)
    notifier.start()
    before = dropped()
    try:
        for _ in range(20):
            notifications.emit("api", "node.create", "start", dict)
        assert 16 <= dropped() - before <= 17
        go_on.set()
        for _ in range(3):
            sent.get(timeout=PATIENCE)
    finally:
        go_on.set()
        notifier.stop()


def test_one_that_fails_is_counted_and_the_next_one_is_sent() -> None:
    sent: queue.Queue[str] = queue.Queue()

    def send(notification: Notification) -> None:
        if notification.event_type.endswith("start"):
            raise OSError("no broker")
        sent.put(notification.event_type)

    notifier = Notifier(send, "h", "info")
    notifier.start()
    before = dropped()
    try:
        notifications.emit("api", "node.create", "start", dict)
        notifications.emit("api", "node.create", "end", dict)
        assert sent.get(timeout=PATIENCE) == "baremetal.node.create.end"
        assert dropped() == before + 1
    finally:
        notifier.stop()


def configured(path: Path, text: str) -> Notifier | None:
    path.write_text(text)
    messaging = cfg.ConfigOpts()
    messaging([], project="drophammer", default_config_files=[str(path)])
    return notifications.notifier(load([path]), messaging)


def test_nothing_is_sent_unless_both_level_and_driver_are_configured(tmp_path: Path) -> None:
    path = tmp_path / "drophammer.conf"
    assert configured(path, "") is None
    assert configured(path, "[oslo_messaging_notifications]\ndriver = log\n") is None


@pytest.mark.filterwarnings("ignore")
def test_the_library_s_driver_gets_what_is_emitted(tmp_path: Path) -> None:
    # First of all that loads oslo.messaging.
    importlib.import_module("drophammer.bus_threads")
    _impl_test: Any = importlib.import_module("oslo_messaging.notify._impl_test")
    text = "[DEFAULT]\nnotification_level = info\n[oslo_messaging_notifications]\ndriver = test\n"
    notifier = configured(tmp_path / "drophammer.conf", text)
    assert notifier is not None
    _impl_test.reset()
    notifier.start()
    notifications.emit("api", "node.create", "end", lambda: {"x": 1})
    notifier.stop()
    ((_, message, priority, _),) = _impl_test.NOTIFICATIONS
    assert priority == "INFO"
    assert message["event_type"] == "baremetal.node.create.end"
    assert message["publisher_id"].startswith("ironic-api.")
    assert message["payload"] == {"x": 1}


@pytest.mark.filterwarnings("ignore")
def test_a_driver_that_needs_a_bus_where_there_is_none_is_refused(tmp_path: Path) -> None:
    text = "[DEFAULT]\nnotification_level = info\n[oslo_messaging_notifications]\ndriver={}\n"
    with pytest.raises(Invalid, match="needs a message bus"):
        configured(tmp_path / "drophammer.conf", text.format("messagingv2"))
