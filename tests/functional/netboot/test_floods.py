"""Who asks without end: others are answered, the log stays short, strangers are told little."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from drophammer.errors import Forbidden, Invalid, NotFound, Unavailable
from netboot.content import Request
from netboot.refusals import LINES, LINES_OF_CLIENT, PERIOD_SECONDS, Refusals

DATA = 3
LOG = logging.getLogger("tests.refusals")
ASKED = Request("tftp", "pxelinux.cfg/default", "172.22.0.9", "172.22.0.1")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock, caplog: pytest.LogCaptureFixture) -> Refusals:
    caplog.set_level(logging.INFO)
    return Refusals("TFTP", LOG, clock)


def test_a_machine_that_is_refused_without_end_is_written_of_so_often_and_counted(
    refusals: Refusals, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        refusals.refused(ASKED, "There is no such file.")
    refusals.unread("172.22.0.10", "This server is read-only.")
    assert len(caplog.messages) == LINES_OF_CLIENT + 2
    assert "refuses more than is written here" in caplog.messages[-2]
    assert caplog.messages[-1] == "TFTP refused 172.22.0.10: This server is read-only."
    caplog.clear()
    clock.now = PERIOD_SECONDS
    refusals.refused(ASKED, "There is no such file.")
    assert caplog.messages == [
        f"TFTP refused {1000 - LINES_OF_CLIENT} more requests",
        "TFTP refused 'pxelinux.cfg/default' to 172.22.0.9: There is no such file.",
    ]


def test_made_up_addresses_and_errors_of_ours_fill_no_log_either(
    refusals: Refusals, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5000):
        asked = Request("tftp", "x", f"10.0.{number // 250}.{number % 250}", "172.22.0.1")
        refusals.of([Unavailable("The database is down."), ValueError("x")][number % 2], asked)
    assert len(caplog.messages) == LINES + 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFound("There is no file 'x'."), "There is no file 'x'."),
        (NotFound("Nobody boots here; add its card, or see [enlist]."), "Nobody boots here."),
        (
            Forbidden("'vmlinuz' is elsewhere; move it into [netboot]boot_dir."),
            "'vmlinuz' is elsewhere.",
        ),
        (
            Invalid("[enlist] kernel_append_params cannot stand there; correct it."),
            "This server is not set up to answer this; its log says why.",
        ),
        (
            Unavailable("/var/lib/x does not answer."),
            "The server could not prepare this file; its log says why. Try again later.",
        ),
    ],
)
def test_a_stranger_is_told_no_option_and_the_operator_is(
    refusals: Refusals, error: Exception, told: str
) -> None:
    refusal = refusals.of(error, ASKED)
    assert refusal.told == told
    if not isinstance(error, Unavailable):
        assert refusal.why == str(error)


def test_one_address_has_not_all_transfers(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(max_of_client=2)
    greedy = [connect(server) for _ in range(3)]
    for client in greedy:
        client.ask("boot.cfg")
    kinds = [client.receive()[0] for client in greedy]
    assert kinds == [3, 3, 5]
    # Another address of the same host, as another machine.
    other = connect(server)
    other.sock.bind(("127.0.0.2", 0))
    assert len(other.fetch("boot.cfg")) == 2800
    greedy[0].error(0, "done")
    server.seen.wait(2)
    server.settle()
    assert len(greedy[0].fetch("boot.cfg")) == 2800


def test_who_never_acknowledges_makes_room_for_others(start_tftp: Any, connect: Any) -> None:
    server = start_tftp(max_transfers=2, retry_seconds=0.05)
    slow, silent, late = connect(server), connect(server), connect(server)
    slow.ask("boot.cfg")
    slow.receive()
    slow.ack(1)
    silent.ask("boot.cfg")
    # Until it is sent again, which is when its time is up.
    first, again = silent.receive(), silent.receive()
    assert first == again
    assert len(late.fetch("boot.cfg")) == 2800
    assert "made room for others" in server.seen.wait(2)
    slow.ack(2)
    while slow.receive()[:2] != (DATA, 3):
        pass  # What was sent again meanwhile.
