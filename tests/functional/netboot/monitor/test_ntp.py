"""Time for machines: chrony for real, in a network namespace, asked by a packet of RFC 5905."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import Invalid
from drophammer.netns import Namespace
from netboot.monitor.programs import ntp_service
from netboot.services.command import find
from tests.patience import PATIENCE

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or find("chronyd") is None, reason="needs root and chronyd"
)
EPOCH = 2208988800
"""Seconds from 1900, where NTP begins to count, to 1970."""


def ask(namespace: str, seconds: float = PATIENCE) -> tuple[int, int, float]:
    """Mode, stratum and time of the answer to a client's packet; raises TimeoutError."""
    with Namespace(namespace).socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.connect(("172.22.0.1", 123))
        sent = os.urandom(8)
        client.send(bytes([4 << 3 | 3]) + bytes(39) + sent)
        answer = client.recv(100)
    assert len(answer) == 48
    assert answer[24:32] == sent  # The origin timestamp: an answer to this very question.
    seconds, fraction = struct.unpack("!II", answer[40:48])
    return answer[0] & 7, answer[1], seconds - EPOCH + fraction / 2**32


def answers(namespace: str) -> bool:
    try:
        return bool(ask(namespace, 1))
    except (TimeoutError, ConnectionRefusedError):
        return False


@pytest.mark.seed("s1")
def test_machines_are_told_the_time_again_after_the_server_was_killed(
    watch: Any, host: Any, namespace: str
) -> None:
    on = host(address="172.22.0.1", network_namespace=namespace, **{"ntp.enabled": True})
    service = ntp_service(on)
    watch.over(service).start()
    watch.until(lambda: watch.row("ntp").actual == "running" if watch.told() else False)
    mode, stratum, now = ask(namespace)
    assert (mode, stratum) == (4, 10)
    assert abs(now - time.time()) < PATIENCE
    pid = service.actual().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    watch.until(lambda: answers(namespace))
    watch.until(lambda: any("is dead: was killed by signal 9" in text for text in watch.told()))
    config = on.settings.state_dir / "ntp" / "chrony.conf"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    # The clock of this host is nobody's business here.
    words = Path(f"/proc/{service.actual().pid}/cmdline").read_bytes().split(b"\0")
    assert b"-x" in words


def test_a_configuration_that_chrony_refuses_leaves_the_old_one(
    watch: Any, host: Any, stand_in: Any, namespace: str
) -> None:
    options = {"address": "172.22.0.1", "network_namespace": namespace, "ntp.enabled": True}
    stand_in("picky", "echo 'Invalid directive at line 3' >&2; exit 1")
    on = host(**options, **{"ntp.program": "picky"})
    config = on.settings.state_dir / "ntp" / "chrony.conf"
    config.parent.mkdir(parents=True)
    config.write_text("the old one\n")
    watch.over(ntp_service(on)).look()
    row = watch.row("ntp")
    assert row.actual == "dead"
    assert "chrony does not take" in row.reason
    assert "Invalid directive at line 3" in row.reason
    assert config.read_text() == "the old one\n"
    assert [path.name for path in config.parent.iterdir()] == ["chrony.conf"]


def test_who_has_the_port_of_time_already_is_named(watch: Any, host: Any, namespace: str) -> None:
    on = host(address="172.22.0.1", network_namespace=namespace, **{"ntp.enabled": True})
    with Namespace(namespace).socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 123))
        watch.over(ntp_service(on)).look()
    row = watch.row("ntp")
    assert row.actual == "dead"
    assert f"(pid {os.getpid()}) has UDP port 123" in row.reason


@pytest.mark.seed("s1")
def test_time_that_somebody_else_serves_on_this_host_is_seen_and_left(
    watch: Any, host: Any, namespace: str
) -> None:
    options = {"ntp.managed_by": "the region", "network_namespace": namespace}
    with Namespace(namespace).socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 123))
        watch.over(ntp_service(host(address="172.22.0.1", **options))).look()
    row = watch.row("ntp")
    assert (row.expected, row.actual, row.managed_by) == ("any", "running", "none")
    assert row.expected_reason == "managed elsewhere: the region"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ntp.servers", ["a.example\nallow"]),
        ("ntp.servers", ["a b"]),
        ("ntp.servers", [""]),
        ("ntp.key_file", "/etc/keys\nbindaddress 0.0.0.0"),
        ("ntp.key_file", "keys"),
        ("ntp.allow", ["all"]),
        ("ntp.program", "sh -c"),
        ("ntp.unit", "chrony.service --force"),
        ("ntp.unit", "-rf.service"),
        ("ntp.managed_by", "the\nregion"),
        ("tgt.unit", "tgt"),
    ],
)
def test_what_would_be_another_directive_is_refused(settings: Any, option: str, value: Any) -> None:
    with pytest.raises(Invalid, match=r"\[(ntp|tgt)\] "):
        settings(**{option: value})


def test_serving_time_and_leaving_it_to_others_exclude_each_other(settings: Any) -> None:
    with pytest.raises(Invalid, match="set one of them only"):
        settings(**{"ntp.enabled": True, "ntp.managed_by": "the region"})
