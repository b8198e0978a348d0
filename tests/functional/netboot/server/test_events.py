"""A boot leaves its traces in the events of its node."""

from __future__ import annotations

import datetime
import urllib.request
from collections.abc import Callable
from typing import Any

from drophammer.clock import FakeClock
from netboot.content import UNCONFIRMED, Request
from netboot.observer import Recorder
from netboot.server import NetbootServer
from netboot.services.dhcp_log import DhcpEvent
from tests.patience import PATIENCE

MAC = "52:54:00:22:00:01"
DASHED = MAC.replace(":", "-")

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


def recorder(
    deployment: Any,
    leases: dict[str, str] | None = None,
    room: int = 100,
    clock: FakeClock | None = None,
) -> Recorder:
    return Recorder(
        deployment.store,
        clock or FakeClock(),
        mac_of=(leases or {}).get,
        is_loader=lambda name: name == "pxelinux.0",
        room=room,
    )


def request(path: str, client: str = "172.22.0.50") -> Request:
    return Request("tftp", path, client, "172.22.0.1")


def test_the_stages_of_a_boot_are_in_order_and_name_no_key(deployment: Any, http_get: Get) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    for path in (f"ipxe/{DASHED}", f"boot/{spec.key}/kernel", f"boot/{spec.key}/ramdisk"):
        http_get(server, path)
    found = deployment.wait_events(node_id, lambda seen: len(seen) >= 5)
    assert [(event.kind, event.data["stage"], event.data["outcome"]) for event in found] == [
        ("http", "script", "complete"),
        ("http", "kernel", "started"),
        ("http", "kernel", "complete"),
        ("http", "ramdisk", "started"),
        ("http", "ramdisk", "complete"),
    ]
    assert spec.key not in "".join(event.message + str(event.data) for event in found)


def test_a_transfer_tells_how_much_went_where(deployment: Any, http_get: Get) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    http_get(server, f"boot/{spec.key}/kernel")
    last = deployment.wait_events(node_id, lambda seen: len(seen) >= 2)[-1]
    size = (deployment.boot_dir / "vmlinuz").stat().st_size
    assert (last.data["bytes"], last.data["total"]) == (size, size)
    assert last.data["client"] == "127.0.0.1"
    assert last.source == "netboot"
    assert last.message.startswith("kernel: 102 kB in ")


def test_a_refused_file_is_told_with_the_reason(deployment: Any, http_get: Get) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    (deployment.boot_dir / "vmlinuz").unlink()
    http_get(server, f"boot/{spec.key}/kernel")
    last = deployment.wait_events(node_id, lambda seen: len(seen) >= 2)[-1]
    assert last.message == "kernel: refused: There is no file 'vmlinuz'."


def test_a_loader_is_told_of_by_the_lease_of_its_client(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    notes = recorder(deployment, {"172.22.0.50": MAC})
    notes.start()
    notes.finished(request("pxelinux.0"), 42430, 42430, 0.04, "complete")
    notes.finished(request("pxelinux.0", "172.22.0.51"), 42430, 42430, 0.04, "complete")
    notes.stop()
    found = deployment.wait_events(node_id, lambda seen: len(seen) >= 1)
    assert [event.message for event in found] == ["loader pxelinux.0: 42 kB in 0.0 s"]


def test_a_dhcp_message_is_told_of_with_its_address(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    notes = recorder(deployment)
    notes.start()
    notes.dhcp(DhcpEvent("ACK", MAC, "172.22.0.50", "BIOS, iPXE", ""))
    notes.stop()
    (event,) = deployment.wait_events(node_id, lambda seen: len(seen) >= 1)
    assert (event.kind, event.message) == ("dhcp", "ACK 172.22.0.50 (BIOS, iPXE)")
    assert event.data == {"mac": MAC, "ip": "172.22.0.50", "type": "ACK"}
    assert event.at == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_a_size_probe_is_no_event(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    notes = recorder(deployment, {"172.22.0.50": MAC})
    notes.start()
    notes.finished(request("pxelinux.0"), 0, 42430, 0.0, "size probe")
    notes.dhcp(DhcpEvent("ACK", MAC, "172.22.0.50", "", ""))
    notes.stop()
    found = deployment.wait_events(node_id, lambda seen: len(seen) >= 1)
    assert [event.kind for event in found] == ["dhcp"]


def test_a_machine_that_leaves_out_its_last_acknowledgement_is_told_of(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    notes = recorder(deployment, {"172.22.0.50": MAC})
    notes.start()
    # A name that is tried among others: to be refused it would be no news.
    notes.finished(request("pxelinux.cfg/default"), 0, 900, 0.0, UNCONFIRMED)
    notes.stop(10)
    (event,) = deployment.wait_events(node_id, lambda seen: len(seen) >= 1)
    assert event.message == (
        "config pxelinux.cfg/default: 900 bytes, complete but for the last acknowledgement"
    )


def test_a_question_for_the_size_only_is_no_event_and_hides_no_transfer(
    deployment: Any, http_get: Get
) -> None:
    server = deployment.server()
    server.start()
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    # As UEFI firmware does that boots over HTTP.
    for method in ("HEAD", "GET"):
        url = f"{server.base_url}/boot/{spec.key}/kernel"
        asked = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            answer.read()
    http_get(server, f"ipxe/{DASHED}")
    found = deployment.wait_events(node_id, lambda seen: seen and "script" in seen[-1].message)
    assert [event.message.partition(" in ")[0] for event in found] == [
        "kernel: sending to 127.0.0.1",
        "kernel: 102 kB",
        found[-1].message.partition(" in ")[0],
    ]


def test_notes_beyond_the_room_are_dropped_and_counted(deployment: Any) -> None:
    notes = recorder(deployment, room=2)
    for number in range(5):
        notes.dhcp(DhcpEvent(f"DISCOVER{number}", MAC, "", "", ""))
    assert notes.dropped == 3


def test_all_notes_are_written_before_the_recorder_ends(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    notes = recorder(deployment, room=1000)
    for number in range(450):
        notes.dhcp(DhcpEvent(f"DISCOVER{number}", MAC, "", "", ""))
    notes.start()
    notes.stop(10)
    assert len(deployment.wait_events(node_id, lambda seen: len(seen) >= 450)) == 450


def test_what_is_asked_over_and_over_is_told_of_now_and_then(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    clock = FakeClock()
    notes = recorder(deployment, room=10_000, clock=clock)
    for _ in range(1000):
        notes.finished(request(f"ipxe/{DASHED}"), 900, 900, 0.0, "complete")
        # The same file under other spellings of its name, and from elsewhere.
        notes.finished(request(f"ipxe/{DASHED.upper()}", "172.22.0.9"), 900, 900, 0.0, "complete")
        clock.advance(0.1)
    notes.start()
    notes.stop(10)
    # In 100 seconds: at the beginning, and after a minute.
    assert len(deployment.wait_events(node_id, lambda seen: len(seen) >= 2)) == 2


def test_refusals_of_names_made_up_are_told_of_once(deployment: Any) -> None:
    node_id = deployment.node(MAC)
    notes = recorder(deployment, {"172.22.0.50": MAC})
    for number in range(50):
        reason = f"refused: There is no file '{number}'."
        notes.finished(request(f"images/{number}"), 0, 0, 0.0, reason)
    notes.start()
    notes.stop(10)
    assert len(deployment.wait_events(node_id, lambda seen: bool(seen))) == 1


def test_other_files_machines_outcomes_and_later_boots_are_news(deployment: Any) -> None:
    other_mac = "52:54:00:22:00:02"
    node_id, other = deployment.node(MAC), deployment.node(other_mac)
    clock = FakeClock()
    notes = recorder(deployment, {"172.22.0.50": MAC}, clock=clock)
    notes.finished(request("pxelinux.0"), 10, 42430, 0.0, "broken off")
    notes.finished(request("pxelinux.0"), 42430, 42430, 0.0, "complete")
    notes.finished(request(f"pxelinux.cfg/01-{DASHED}"), 900, 900, 0.0, "complete")
    notes.finished(request(f"ipxe/{other_mac}"), 900, 900, 0.0, "complete")
    clock.advance(2.5)
    notes.finished(request("pxelinux.0"), 42430, 42430, 0.0, "complete")
    notes.start()
    notes.stop(10)
    assert len(deployment.wait_events(node_id, lambda seen: len(seen) >= 4)) == 4
    assert len(deployment.wait_events(other, lambda seen: bool(seen))) == 1
