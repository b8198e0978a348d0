"""BMCs that do not answer: clear errors in time, and no harm to those that do."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conductor.ipmi.pool import IpmiPool
from drophammer.errors import BmcUnreachable, HardwareError
from tests.functional.ipmi.conftest import done_within
from tests.patience import AT_ONCE

pytestmark = pytest.mark.waits
SILENT_FOR = re.compile(r"nothing came back in ([0-9.]+) s")


def test_a_dead_address_is_told_in_time_and_sooner_the_second_time(dead_target):
    target = dead_target()
    waited = []
    with IpmiPool(request_deadline=30) as pool:
        for _ in range(2):
            with pytest.raises(BmcUnreachable) as caught:
                pool.set_power(target, "on")
            text = str(caught.value)
            assert f"IPMI power on failed at BMC {target.endpoint} (user 'admin')" in text
            assert "Check ipmi_address and ipmi_port" in text
            waited += map(float, SILENT_FOR.findall(text))
    first, second = waited
    assert first > 7.5
    # After 3 s; the rest is for a machine that stands still.
    assert second < 7


def test_a_closed_port_is_told_quickly(pool, make_closed_target):
    def told():
        with pytest.raises(BmcUnreachable, match="nothing listens on this UDP port"):
            pool.get_power(make_closed_target())

    done_within(3, told)


def test_an_unresolvable_name_is_told(pool, bmc):
    started = time.monotonic()
    with pytest.raises(BmcUnreachable, match=r"name does not resolve.*Check ipmi_address"):
        pool.get_power(bmc.target(address="bmc.does-not-exist.invalid"))
    assert time.monotonic() - started < AT_ONCE


@pytest.mark.parametrize(
    "head",
    ["", "0600ff07", "0600ff07000000000000000000", "0600ff0706", "0600ff070611", "0600ff0706c0"],
)
def test_a_host_that_answers_nonsense_is_told_in_time(babbling_target, head):
    target = babbling_target(bytes.fromhex(head))
    started = time.monotonic()
    with IpmiPool(workers=1, request_deadline=1) as pool, pytest.raises(HardwareError):
        pool.get_power(target)
    assert time.monotonic() - started < AT_ONCE


def test_a_bmc_that_comes_back_is_reached_again(pool, dead_target, start_bmc, closed_target):
    with pytest.raises(BmcUnreachable):
        pool.get_power(closed_target)
    bmc = start_bmc(port=closed_target.port)
    assert pool.get_power(bmc.target()) == "power off"


def test_a_restarted_bmc_gets_a_new_session_by_itself(pool, bmc):
    assert pool.get_power(bmc.target()) == "power off"
    bmc.restart()
    assert pool.get_power(bmc.target()) == "power off"
    assert bmc.report()["logins"] == 1


def test_a_power_command_after_a_restart_of_the_bmc_is_sent_once(pool, bmc):
    pool.get_power(bmc.target())
    bmc.restart()
    pool.set_power(bmc.target(), "reset")
    assert bmc.commands.count((0, 2, "03")) == 1


def test_a_reset_without_answer_is_not_sent_again(pool, bmc):
    bmc.tell(mute=[0, 2])
    with pytest.raises(BmcUnreachable, match="whether the BMC did it is not known"):
        pool.set_power(bmc.target(), "reset")
    assert bmc.commands.count((0, 2, "03")) == 1


def test_a_lost_answer_to_a_read_is_asked_for_again(pool, bmc):
    bmc.tell(mute=[0, 1])
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(pool.get_power, bmc.target())
        bmc.wait_for(0, 1)
        bmc.tell(mute=None)
        assert asked.result() == "power off"


def test_lost_packets_delay_but_do_not_fail(pool, bmc, lossy_port):
    target = bmc.target(port=lossy_port(bmc.port))
    pool.set_power(target, "on")
    assert [pool.get_power(target) for _ in range(5)] == ["power on"] * 5


def test_requests_to_one_bmc_run_one_after_the_other(pool, bmc):
    bmc.tell(delay=0.2)
    with ThreadPoolExecutor() as threads:
        started = time.monotonic()
        list(threads.map(lambda _: pool.get_power(bmc.target()), range(5)))
    assert time.monotonic() - started > 5 * 0.2
    assert bmc.report()["logins"] == 1


def test_the_minimum_interval_between_requests_is_kept(bmc):
    with IpmiPool(min_interval=0.5) as pool:
        started = time.monotonic()
        for _ in range(3):
            pool.get_power(bmc.target())
    assert time.monotonic() - started > 2 * 0.5


def test_forty_dead_bmcs_do_not_slow_down_five_living_ones(dead_target, start_bmc):
    dead = [dead_target() for _ in range(40)]
    living = [start_bmc().target() for _ in range(5)]
    with IpmiPool(request_deadline=6) as pool, ThreadPoolExecutor(45) as threads:
        for target in living:
            pool.get_power(target)
        asked = [threads.submit(pool.get_power, target) for target in dead]
        for _ in range(10):
            list(threads.map(pool.get_power, living))
        assert not any(ask.done() for ask in asked)
        problems = [ask.exception() for ask in asked]
    assert all(isinstance(problem, BmcUnreachable) for problem in problems)
