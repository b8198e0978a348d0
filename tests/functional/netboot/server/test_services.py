"""The services of a whole NetbootServer: all of them, restarted, listened to, told of."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drophammer import events, services
from drophammer.bus import LocalBus
from drophammer.errors import NotFound, Unavailable, Unsupported
from drophammer.events import EVERYTHING
from netboot.server import NetbootServer
from tests.patience import until

MAC = "52:54:00:22:00:01"
Get = Callable[[NetbootServer, str], tuple[int, bytes]]


@pytest.fixture
def server(deployment: Any) -> NetbootServer:
    server = NetbootServer(deployment.settings(), deployment.store, hostname="rack-7")
    deployment.servers.append(server)
    server.start()
    return server


def told(deployment: Any) -> dict[str, tuple[str, str, str]]:
    """Expected, actual and who manages it, of each service in the table."""
    with deployment.store.read() as session:
        rows = services.of_all(session)
    return {row.name: (row.expected, row.actual, row.managed_by) for row in rows}


@pytest.mark.seed("s1", "s12")
def test_one_start_composes_all_services_and_dhcp_is_off_until_it_is_configured(
    deployment: Any, server: NetbootServer
) -> None:
    server.monitor.look()
    assert told(deployment) == {
        "http": ("on", "running", "process"),
        "tftp": ("on", "running", "process"),
        "dhcp4": ("off", "off", "child"),
        "dhcp6": ("off", "off", "child"),
        "ntp": ("off", "off", "child"),
        "tgt": ("off", "off", "child"),
    }
    assert server.trouble() == ""
    server.stop()
    assert {actual for _, actual, _ in told(deployment).values()} == {"off"}
    assert server.trouble() == "netboot is not running"


@pytest.mark.parametrize("name", ["http", "tftp"])
def test_a_server_is_restarted_on_the_same_port_and_answers(
    deployment: Any, server: NetbootServer, http_get: Get, tftp_get: Get, name: str
) -> None:
    before = server.base_url, server.tftp_port
    assert server.service_calls.restart_service("rack-7", name)["actual"] == "running"
    assert (server.base_url, server.tftp_port) == before
    assert http_get(server, "boot.ipxe")[0] == 200
    assert tftp_get(server, "boot.ipxe")[0] == 0


def test_services_of_other_hosts_and_of_other_names_are_refused(server: NetbootServer) -> None:
    with pytest.raises(Unavailable, match="this is rack-7"):
        server.service_calls.restart_service("rack-8", "tftp")
    with pytest.raises(NotFound, match="no service 'sshd'; it has http, tftp, dhcp4"):
        server.service_calls.restart_service("rack-7", "sshd")


def wait_for(caplog: pytest.LogCaptureFixture, words: str) -> str:
    """The first line of the log with ``words``; the server writes it a little later."""
    return until(
        lambda: next((line for line in caplog.messages if words in line), ""),
        lambda: caplog.messages,
    )


@pytest.mark.seed("s20")
def test_the_log_of_requests_is_switched_while_machines_boot(
    deployment: Any,
    server: NetbootServer,
    tftp_get: Get,
    http_get: Get,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tftp_get(server, "before")
    until(lambda: "running, 0 transfers" in {state for _, _, state in server.listening()})
    bus = LocalBus()
    bus.serve("netboot", server.service_calls, "rack-7")

    def switch(**change: Any) -> Any:
        return bus.call(
            "netboot", "switch_service_log", hostname="rack-7", name="tftp", change=change
        )

    assert switch(requests=True) == {"level": None, "requests": True}
    spec = deployment.boots(deployment.node(MAC, boot_interface="pxe"), loader="pxe")
    tftp_get(server, f"boot/{spec.key}/kernel")
    tftp_get(server, "evil\nname")
    http_get(server, "boot.ipxe")
    line = wait_for(caplog, "asked for boot/******/kernel")
    assert line.startswith("tftp 127.0.0.1 asked for boot/******/kernel: ")
    wait_for(caplog, "asked for evil name")
    assert switch(requests=False) == {"level": None, "requests": False}
    tftp_get(server, "after")
    assert spec.key not in caplog.text
    asked = [line for line in caplog.messages if "asked for" in line]
    assert not any(word in line for line in asked for word in ("before", "after", "http"))
    bus.close()


@pytest.mark.seed("s20")
def test_the_level_of_one_service_is_switched_and_goes_back(server: NetbootServer) -> None:
    def level(name: str) -> int:
        return logging.getLogger(name).getEffectiveLevel()

    usual = level("netboot.services.tftp")
    try:
        shown = server.service_calls.switch_service_log("rack-7", "tftp", {"level": "debug"})
        assert shown == {"level": "debug", "requests": False}
        assert server.service_calls.show_service_log("rack-7", "tftp") == shown
        assert level("netboot.services.tftp") == logging.DEBUG
        assert level("netboot.services.tftp_session") == logging.DEBUG
        assert level("netboot.services.http") == usual
    finally:
        server.service_calls.switch_service_log("rack-7", "tftp", {"level": None})
    assert level("netboot.services.tftp_session") == usual


def test_a_service_without_requests_has_no_log_of_them(server: NetbootServer) -> None:
    with pytest.raises(Unsupported, match="ntp has no log of requests; http and tftp have"):
        server.service_calls.switch_service_log(
            "rack-7", "ntp", {"requests": True, "level": "debug"}
        )
    assert server.service_calls.show_service_log("rack-7", "ntp") == {
        "level": None,
        "requests": None,
    }
    json.dumps(server.service_calls.show_service_log("rack-7", "dhcp4"))


@pytest.mark.seed("s2", "s10")
def test_what_tgt_admin_said_is_in_an_event_and_the_import_goes_on(
    deployment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in (("tgtadm", "exit 0"), ("tgt-admin", "echo 'no such file' >&2; exit 2")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    settings = deployment.settings(service_manager="none")
    server = NetbootServer(settings, deployment.store, hostname="rack-7")
    deployment.servers.append(server)
    server.start()
    conf = tmp_path / "drophammer.tgt"
    conf.write_text("")
    server.targets.update(conf)
    with deployment.store.ask() as connection:
        found = events.of_all(connection, after=0, until=10**9, wanted=EVERYTHING, limit=100)
    told = [event for event in found if "warning" in event.message]
    assert len(told) == 1
    assert (told[0].source, told[0].kind, told[0].node) == ("netboot", "service", None)
    assert "ended with code 2: no such file" in told[0].message
    assert told[0].data["service"] == "tgt"
