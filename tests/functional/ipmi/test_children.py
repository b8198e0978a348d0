"""The child processes: when they die, hang or are no longer wanted, and what they give away."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conductor.ipmi.pool import IpmiPool
from drophammer.errors import BmcAuthFailed, BmcError, BmcUnreachable, DrophammerError
from drophammer.secret import Secret
from tests.patience import AT_ONCE, PATIENCE, until

pytestmark = pytest.mark.waits
CLOSE_SESSION = (6, 0x3C)


@pytest.fixture
def single():
    """A pool with one child, so that the test knows who serves it."""
    with IpmiPool(workers=1) as pool:
        yield pool


def wait_until_gone(pid):
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    gone = poll.poll(1000 * PATIENCE)
    os.close(handle)
    assert gone, f"process {pid} is still there"


def answer_of_the_next_child(pool, target):
    """The power state, from a child that may take longer to start than a request may take."""

    def answer():
        with contextlib.suppress(BmcUnreachable):
            return pool.get_power(target)

    return until(answer)


def cpu_seconds(pid):
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def test_a_pool_starts_without_a_child_and_its_first_command_starts_one_that_is_small(bmc):
    pool = IpmiPool()
    assert pool.pids() == []
    with pool:
        pool.get_power(bmc.target())
        (pid,) = pool.pids()
        assert cpu_seconds(pid) < 2


def test_a_read_survives_the_death_of_its_child(single, bmc):
    bmc.tell(mute=[0, 1])
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(single.get_power, bmc.target())
        bmc.wait_for(0, 1)
        bmc.tell(mute=None)
        os.kill(single.pids()[0], signal.SIGKILL)
        assert asked.result() == "power off"


def test_a_command_that_may_have_left_is_not_repeated_by_the_next_child(single, bmc):
    bmc.tell(mute=[0, 2])
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(single.set_power, bmc.target(), "on")
        bmc.wait_for(0, 2)
        bmc.tell(mute=None)
        os.kill(single.pids()[0], signal.SIGKILL)
        with pytest.raises(BmcUnreachable, match="killed by signal 9 after the command was sent"):
            asked.result()
    assert single.get_power(bmc.target()) in ("power on", "power off")
    assert bmc.commands.count((0, 2, "01")) == 1


def test_a_command_that_had_not_left_is_sent_by_the_next_child(single, bmc):
    single.get_power(bmc.target())
    bmc.tell(mute=[6, 1])
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(single.set_power, bmc.target(), "reset")
        bmc.wait_for(6, 1)
        bmc.tell(mute=None)
        os.kill(single.pids()[0], signal.SIGKILL)
        asked.result()
    assert bmc.commands.count((0, 2, "03")) == 1


def test_a_hung_child_is_replaced_within_the_deadline(bmc, caplog):
    with IpmiPool(workers=1, request_deadline=30) as pool:
        pool.get_power(bmc.target())
        (hung,) = pool.pids()
        os.kill(hung, signal.SIGSTOP)
        with caplog.at_level(logging.WARNING):
            assert pool.get_power(bmc.target()) == "power off"
        assert pool.pids() != [hung]
    wait_until_gone(hung)
    assert f"(pid {hung}) hung for" in caplog.text


def test_the_deadline_holds_while_the_child_hangs(bmc):
    with IpmiPool(workers=1, request_deadline=1) as pool:
        answer_of_the_next_child(pool, bmc.target())
        (hung,) = pool.pids()
        os.kill(hung, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(BmcUnreachable, match="did not answer in time"):
            pool.get_power(bmc.target())
        with contextlib.suppress(BmcUnreachable):
            pool.get_power(bmc.target())
        assert time.monotonic() - started < AT_ONCE
        assert answer_of_the_next_child(pool, bmc.target()) == "power off"
        assert pool.pids() != [hung]


def test_a_stopped_child_whose_pipe_is_full_holds_up_nobody(bmc):
    with IpmiPool(workers=1, request_deadline=1) as pool, ThreadPoolExecutor(300) as threads:
        answer_of_the_next_child(pool, bmc.target())
        os.kill(pool.pids()[0], signal.SIGSTOP)
        started = time.monotonic()
        # 300 raw commands of 200 bytes are more than a pipe holds.
        asked = [threads.submit(pool.raw, bmc.target(), 0x2E, 1, bytes(200)) for _ in range(300)]
        problems = [ask.exception() for ask in asked]
        assert time.monotonic() - started < AT_ONCE
    assert all(isinstance(problem, DrophammerError) for problem in problems)


def test_a_child_that_cannot_start_is_told(bmc):
    with (
        IpmiPool(command=("/nonexistent/python",)) as pool,
        pytest.raises(BmcError, match="does not start: No such file"),
    ):
        pool.get_power(bmc.target())


def test_a_child_that_dies_at_start_is_told(bmc):
    with (
        IpmiPool(command=(sys.executable, "-c", "import sys; sys.exit(7)")) as pool,
        pytest.raises(BmcUnreachable, match="exited with status 7"),
    ):
        pool.get_power(bmc.target())


def test_a_child_that_does_not_speak_the_protocol_is_told(bmc):
    with (
        IpmiPool(command=(sys.executable, "-c", "print('hello'); input()")) as pool,
        pytest.raises(BmcUnreachable, match="wrote something that is not our protocol"),
    ):
        pool.get_power(bmc.target())


def test_close_leaves_no_process(start_bmc):
    pool = IpmiPool(workers=3)
    for _ in range(6):
        pool.get_power(start_bmc().target())
    pids = pool.pids()
    assert pids
    pool.close()
    assert pool.pids() == []
    for pid in pids:
        wait_until_gone(pid)


def test_close_says_goodbye_to_the_bmc(single, bmc):
    single.get_power(bmc.target())
    single.close()
    bmc.wait_for(*CLOSE_SESSION)


def test_close_ends_requests_in_flight(dead_target):
    pool = IpmiPool()
    with ThreadPoolExecutor() as threads:
        target = dead_target()
        asked = threads.submit(pool.get_power, target)
        until(pool.pids)
        pool.close()
        with pytest.raises(BmcUnreachable, match="shutting down"):
            asked.result()


def test_a_closed_pool_refuses_requests(pool, bmc):
    pool.close()
    with pytest.raises(BmcUnreachable, match="shutting down"):
        pool.get_power(bmc.target())


def test_children_leave_when_their_parent_is_killed(bmc):
    program = (
        "import sys, time\n"
        "from conductor.ipmi.pool import IpmiPool\n"
        "from conductor.ipmi.target import BmcTarget\n"
        "from drophammer.secret import Secret\n"
        "pool = IpmiPool()\n"
        "target = BmcTarget('127.0.0.1', int(sys.argv[1]), 'admin', Secret('secret'))\n"
        "pool.get_power(target)\n"
        "print(*pool.pids(), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(bmc.port)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    parent.kill()
    parent.communicate()
    assert pids
    for pid in pids:
        wait_until_gone(pid)


def test_no_password_shows_in_processes_logs_or_errors(bmc, monkeypatch, caplog, capfd):
    monkeypatch.setenv("UNRELATED_TOKEN", "t0ken-of-the-conductor")
    secret = "hunter2-hunter2"
    caplog.set_level(logging.DEBUG)
    with IpmiPool(workers=1) as pool:
        with pytest.raises(BmcAuthFailed) as caught:
            pool.get_power(bmc.target(password=Secret(secret), kg=Secret("c0ffee")))
        (pid,) = pool.pids()
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        os.kill(pid, signal.SIGKILL)
        pool.get_power(bmc.target())
    shown = capfd.readouterr()
    everything = [seen.decode(), caplog.text, shown.out, shown.err, repr(caught.value)]
    assert "is replaced" in caplog.text
    for text in everything:
        assert secret not in text
        assert "c0ffee" not in text
        assert "t0ken-of-the-conductor" not in text


def test_the_ipmi_library_stays_out_of_the_conductor(bmc):
    program = (
        "import sys\n"
        "from conductor.ipmi import pool, target\n"
        "print(sorted(name for name in sys.modules if name.startswith('pyghmi')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_worker_started_by_hand_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "conductor.ipmi.worker"],
        input=b'{"ping":true}\n', capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"started by the conductor" in done.stderr
