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
            assert news.wait_for(lambda s=states: s[-1:] == ["running"], 10), states
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
