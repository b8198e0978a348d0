"""Machines that mean harm: what they make up fills no log and no database, and tells no secret."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from drophammer.clock import SystemClock
from netboot.observer import Recorder
from netboot.server import NetbootServer
from netboot.services.dhcp_log import DhcpEvent

MAC = "52:54:00:22:00:01"

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


def nobody(_: str) -> None:
    return None


@pytest.fixture
def recorder(deployment: Any) -> Recorder:
    return Recorder(deployment.store, SystemClock(), mac_of=nobody, is_loader=lambda _: False)


def test_made_up_stages_are_no_events(deployment: Any, http_get: Get) -> None:
    server = deployment.server()
    server.start()
    spec = deployment.boots(deployment.node(MAC))
    for word in ("anything", "logins", "x"):
        path = f"boot/{spec.key}/stage?stage={word}&outcome=failed"
        assert http_get(server, path)[0] == 400


def test_a_flood_of_discovers_in_a_machines_name_is_told_once(
    deployment: Any, recorder: Recorder
) -> None:
    node_id = deployment.node(MAC)
    for number in range(500):
        recorder.dhcp(DhcpEvent("DISCOVER", MAC, "", f"architecture {number}", f"note {number}"))
    recorder.dhcp(DhcpEvent("DISCOVER", MAC, "", "BIOS, iPXE", ""))
    recorder.start()
    recorder.stop(10)
    found = [event.message for event in deployment.wait_events(node_id, lambda seen: bool(seen))]
    assert found == ["DISCOVER (architecture 0) note 0", "DISCOVER (BIOS, iPXE)"]


def test_the_key_of_a_boot_is_in_no_line_of_the_log(
    deployment: Any, http_get: Get, tftp_get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = deployment.server()
    server.start()
    spec = deployment.boots(deployment.node(MAC), kernel="file:///etc/passwd")
    paths = [f"boot/{spec.key}/kernel", f"efi/boot/{spec.key}/kernel", f"BOOT/{spec.key}/ramdisk"]
    for path in [*paths, f"boot/{spec.key}/stage?stage=no", f"boot/{spec.key}/kernel/more"]:
        assert http_get(server, path)[0] in (400, 403, 404)
        assert tftp_get(server, path)[0] > 100
    assert "refused 'boot/******/kernel'" in caplog.text
    assert spec.key not in caplog.text


@pytest.mark.parametrize("name", ["syslinux/syslinux/ldlinux.c32", "ldsyslinux/linux.c32"])
def test_a_loader_has_no_more_names_than_loaders_ask_by(
    deployment: Any, http_get: Get, name: str
) -> None:
    server = deployment.server()
    server.start()
    assert http_get(server, name)[0] == 404
