"""New configuration takes over only when dnsmasq takes it, and a dead dnsmasq comes back."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import Invalid, Unavailable
from drophammer.netns import Namespace
from tests.patience import PATIENCE, until

MAC = "52:54:00:22:00:01"
HOSTS = ((MAC, "ipxe", None),)
OURS = """
[dhcp]
subnets = rack1
[subnet:rack1]
cidr = 172.22.0.0/24
range_start = 172.22.0.{start}
range_end = 172.22.0.99
ipv6_prefix = fd00:22::/64
"""


def test_a_refused_configuration_leaves_the_old_one_at_work_and_is_told(
    net: Any, serve: Any, machine: Any, subnets: Any
) -> None:
    running = serve(OURS.format(start=50), *HOSTS)
    server, asker = running.server, machine(net.client, MAC)
    pid, before = server.pid, server.files.config.read_bytes()
    good = subnets(OURS.format(start=60))
    # What no reader of options lets through: the last gate is dnsmasq's own.
    bad = dataclasses.replace(good.subnets[0], path_prefix="", lease_seconds=-5)
    with pytest.raises(Invalid, match="dnsmasq refuses the configuration"):
        server.change(dataclasses.replace(good, subnets=(bad,)))
    assert server.pid == pid
    assert server.files.config.read_bytes() == before
    assert asker.offer().option(51) == (3600).to_bytes(4, "big")
    assert sorted(path.name for path in server.files.config.parent.glob("dnsmasq.conf*")) == [
        "dnsmasq.conf"
    ]


def test_a_good_configuration_takes_over(net: Any, serve: Any, machine: Any, subnets: Any) -> None:
    running = serve(OURS.format(start=50), *HOSTS)
    server = running.server
    old = server.pid
    server.change(subnets(OURS.format(start=90)))
    assert server.pid not in (None, old)
    assert machine(net.client, MAC).offer().yiaddr.packed[3] >= 90
    for file in (server.files.config, server.files.hosts, server.dhcp6.files.config):
        assert file.stat().st_mode & 0o777 == 0o600


def test_both_halves_are_services_that_are_noticed_dead_and_come_back(
    net: Any, serve: Any, machine: Any
) -> None:
    running = serve(OURS.format(start=50), *HOSTS)
    for service in running.server.services():
        news = threading.Condition()
        states: list[str] = []

        def changed(service: Any = service, news: Any = news, states: list[str] = states) -> None:
            with news:
                states.append(service.actual().state)
                news.notify_all()

        service.watch(changed)
        assert service.expected().state == "on"
        assert service.actual().state == "running"
        os.kill(service.actual().pid, signal.SIGKILL)
        with news:
            assert news.wait_for(lambda s=states: s[-1:] == ["running"], PATIENCE), states
        assert states[0] == "dead"
        pid = service.actual().pid
        service.restart()
        assert service.actual().pid not in (None, pid)
    assert machine(net.client, MAC).offer() is not None


def test_who_has_the_port_already_is_named(net: Any, serve: Any, tmp_path: Path) -> None:
    with Namespace(net.server).socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 67))
        with pytest.raises(Unavailable, match=rf"port 67 of br0: .*\(pid {os.getpid()}\) has it"):
            serve(OURS.format(start=50), *HOSTS)


def test_files_that_somebody_broke_are_made_anew_before_dnsmasq_starts_once_more(
    net: Any, serve: Any, machine: Any
) -> None:
    server = serve(OURS.format(start=50), *HOSTS).server
    before = server.files.config.read_bytes()
    for service in server.services():
        service.files.config.write_text("no-such-option\n")
    server.files.hosts.unlink()
    for service in server.services():
        kill(service)
    assert server.files.config.read_bytes() == before
    assert machine(net.client, MAC).offer() is not None


def test_a_dnsmasq_that_died_does_not_come_back_beside_another_server(net: Any, serve: Any) -> None:
    server = serve(OURS.format(start=50), *HOSTS).server
    with Namespace(net.server).socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: bound(other))
        until(lambda: f"(pid {os.getpid()}) has it" in server.dhcp4.actual().reason)
        assert server.dhcp4.actual().state == "dead"
    until(lambda: server.dhcp4.actual().state == "running")


def test_on_a_full_disk_a_dnsmasq_that_died_comes_back_for_the_machines_of_before(
    net: Any, serve: Any, machine: Any
) -> None:
    server = serve(OURS.format(start=50), *HOSTS).server
    folder = server.files.hosts.parent
    # To be written anew is what a full disk refuses; a folder in its place does so, too.
    (folder / "hosts.new").mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        server.set_hosts([*HOSTS, ("52:54:00:22:00:02", None)])
    kill(server.dhcp4)
    assert machine(net.client, MAC).offer() is not None
    (folder / "hosts.new").rmdir()
    server.set_hosts([*HOSTS, ("52:54:00:22:00:02", None)])
    assert machine(net.client, "52:54:00:22:00:02").offer() is not None


def test_a_list_that_was_not_taken_in_time_is_not_taken_for_the_present_one(
    net: Any, serve: Any, machine: Any
) -> None:
    server = serve(OURS.format(start=50), *HOSTS).server
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="did not take the new list"):
            server.set_hosts([("52:54:00:22:00:02", None)])
    finally:
        os.kill(server.pid, signal.SIGCONT)
    server.set_hosts(HOSTS)
    assert machine(net.client, MAC).offer() is not None
    assert machine(net.client, "52:54:00:22:00:02").offers() == []


def test_many_addresses_that_cannot_be_kept_make_no_endless_reason(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [(f"52:54:00:23:{n // 256:02x}:{n % 256:02x}", None, "10.9.9.9") for n in range(1000)]
    server = serve(OURS.format(start=50), *bad).server
    assert len(server.dhcp4.actual().reason) < 2000
    assert "990 more addresses are not kept" in server.dhcp4.actual().reason
    written = [line for line in caplog.messages if "kept" in line]
    assert len(written) == 101
    # What was said is not said again when one more comes.
    server.set_hosts([*bad, ("52:54:00:24:00:00", None, "10.9.9.9")])
    (news,) = [line for line in caplog.messages if "kept" in line][101:]
    assert news.startswith("No address is kept for 52:54:00:24:00:00: ")


def kill(service: Any) -> None:
    """Kill its program; returns when another one answers."""
    pid = service.actual().pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.actual().state == "running" and service.actual().pid not in (None, pid))


def bound(sock: socket.socket) -> bool:
    try:
        sock.bind(("", 67))
    except OSError:
        return False
    return True
