"""The lines between conductor and child, and who gets which BMC."""

from __future__ import annotations

from collections import Counter

import pytest

from conductor.ipmi import protocol
from conductor.ipmi.commands import Step
from conductor.ipmi.pool import IpmiPool, worker_of
from conductor.ipmi.protocol import Answer, Failed, Failure, Hello, Ping, Pong, Request, Sending
from conductor.ipmi.target import BmcTarget
from drophammer.secret import Secret

TARGET = BmcTarget("b", 9, "ädmin", Secret('p\n"w'), "USER", "2.0", "17", Secret("00ff"))
REQUEST = Request(7, TARGET, (Step(0, 8, b"\x03\x08", (0x80,)), Step(6, 1)), "never", 9.5)


@pytest.mark.parametrize("message", [Hello(42, 0.5), Ping(), REQUEST])
def test_what_the_child_reads_is_what_was_sent(message):
    assert protocol.decode_for_child(protocol.encode(message)) == message


def test_a_target_without_bmc_key_arrives_without():
    request = Request(1, BmcTarget("b"), (Step(6, 1),), "always", 1.0)
    assert protocol.decode_for_child(protocol.encode(request)) == request


@pytest.mark.parametrize(
    "message",
    [Pong(), Sending(3), Answer(3, (b"\x00\xff", b"")), Failed(3, Failure("auth", "no\nway"))],
)
def test_what_the_conductor_reads_is_what_was_sent(message):
    assert protocol.decode_from_child(protocol.encode(message)) == message


@pytest.mark.parametrize("message", [REQUEST, Failed(1, Failure("auth", "two\nlines"))])
def test_a_message_is_one_line(message):
    assert protocol.encode(message).count(b"\n") == 1


def test_a_request_does_not_show_its_password():
    assert '"w' not in repr(REQUEST)
    assert "00ff" not in repr(REQUEST)


def test_a_bmc_always_has_the_same_worker():
    assert len({worker_of("192.0.2.7:623", 4) for _ in range(10)}) == 1


def test_bmcs_are_spread_over_the_workers():
    spread = Counter(worker_of(f"192.0.2.{host}:623", 4) for host in range(200))
    assert len(spread) == 4
    assert min(spread.values()) > 25


def test_one_more_worker_moves_only_its_own_share():
    bmcs = [f"192.0.2.{host}:623" for host in range(200)]
    moved = [worker_of(bmc, 5) for bmc in bmcs if worker_of(bmc, 4) != worker_of(bmc, 5)]
    assert set(moved) == {4}
    assert len(moved) < 80


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"request_deadline": 0}, {"min_interval": -1}])
def test_a_pool_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match="needs a worker"):
        IpmiPool(**wrong)
