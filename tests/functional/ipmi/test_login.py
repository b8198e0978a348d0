"""Getting into a BMC, or being told why not."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conductor.ipmi.pool import IpmiPool
from drophammer.errors import BmcAuthFailed, BmcError, HardwareError
from drophammer.secret import Secret
from tests.functional.ipmi.conftest import done_within
from tests.patience import AT_ONCE, until

pytestmark = pytest.mark.waits
NO_FREE_SESSION_TOLD = (-1, 0x01)


@pytest.mark.parametrize(("suites", "used"), [([3], 3), ([17], 17), ([3, 17], 17)])
def test_the_best_common_cipher_suite_is_found(pool, start_bmc, suites, used):
    bmc = start_bmc(suites=suites)
    pool.get_power(bmc.target())
    assert set(bmc.report()["suites"]) == {used}


@pytest.mark.parametrize("suite", ["3", "17"])
def test_a_chosen_cipher_suite_is_the_one_used(pool, start_bmc, suite):
    bmc = start_bmc(suites=[3, 17])
    pool.get_power(bmc.target(cipher_suite=suite))
    assert set(bmc.report()["suites"]) == {int(suite)}


def test_a_chosen_cipher_suite_is_not_weakened(pool, bmc):
    with pytest.raises(BmcAuthFailed, match="none of the offered cipher suites"):
        pool.get_power(bmc.target(cipher_suite="17"))
    assert bmc.report()["suites"] == []


def test_a_bmc_that_answers_with_another_suite_is_understood(pool, start_bmc):
    bmc = start_bmc(ignores_proposal=True)
    assert pool.get_power(bmc.target()) == "power off"


def test_a_bmc_that_answers_a_chosen_suite_with_another_is_refused(pool, start_bmc):
    bmc = start_bmc(ignores_proposal=True)
    with pytest.raises(BmcAuthFailed, match="answers the proposal of SHA-256"):
        pool.get_power(bmc.target(cipher_suite="17"))


def test_a_wrong_password_is_told_at_once(pool, bmc):
    def refused():
        with pytest.raises(BmcAuthFailed) as caught:
            pool.set_power(bmc.target(password=Secret("wr0ng-pass")), "on")
        return str(caught.value)

    # As long as a silent one is waited for takes each time.
    text = done_within(3, refused)
    assert "IPMI power on failed" in text
    assert "wrong password" in text
    assert "Check ipmi_username, ipmi_password" in text
    assert "wr0ng-pass" not in text


def test_a_corrected_password_works_in_the_same_child(pool, bmc):
    with pytest.raises(BmcAuthFailed):
        pool.get_power(bmc.target(password=Secret("wrong")))
    assert pool.get_power(bmc.target()) == "power off"


def test_an_open_session_is_not_lent_to_a_wrong_password(pool, bmc):
    pool.get_power(bmc.target())
    with pytest.raises(BmcAuthFailed):
        pool.get_power(bmc.target(password=Secret("wrong")))


def test_an_unknown_user_is_told_at_once(pool, bmc):
    with pytest.raises(BmcAuthFailed, match=r"user 'nobody'.*user name is not known"):
        pool.get_power(bmc.target(username="nobody"))


def test_a_bmc_that_is_silent_to_strangers_is_told_apart_from_a_dead_one(pool, start_bmc):
    bmc = start_bmc(mute_for_strangers=True)
    started = time.monotonic()
    with pytest.raises(BmcAuthFailed, match="up to the user name and was then silent"):
        pool.get_power(bmc.target(username="nobody"))
    assert time.monotonic() - started < AT_ONCE


def test_a_privilege_level_above_the_limit_is_refused_with_its_name(pool, start_bmc):
    bmc = start_bmc(max_privilege=3)
    with pytest.raises(BmcAuthFailed, match="privilege level ADMINISTRATOR was refused"):
        pool.get_power(bmc.target())
    assert pool.get_power(bmc.target(privilege="OPERATOR")) == "power off"


def test_a_role_refused_during_the_log_in_is_told(pool, start_bmc):
    bmc = start_bmc(max_privilege=3, refuses_role=True)
    with pytest.raises(BmcAuthFailed, match="status 0x09: the asked role is not valid"):
        pool.get_power(bmc.target())


def test_the_bmc_key_is_used(pool, start_bmc):
    bmc = start_bmc(kg="00ff10")
    assert pool.get_power(bmc.target(kg=Secret("00FF10"))) == "power off"


def test_a_wrong_bmc_key_is_told(pool, start_bmc):
    bmc = start_bmc(kg="00ff10")
    with pytest.raises(BmcAuthFailed, match=r"wrong BMC key \(K_g\)"):
        pool.get_power(bmc.target())


def test_a_bmc_without_free_session_is_asked_until_one_is_free(pool, start_bmc):
    bmc = start_bmc(sessions_left=0, suites=[17])
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(pool.get_power, bmc.target())
        bmc.wait_for(*NO_FREE_SESSION_TOLD)
        bmc.tell(sessions_left=1)
        assert asked.result() == "power off"


def test_a_bmc_that_stays_without_free_session_is_told(start_bmc):
    bmc = start_bmc(sessions_left=0)
    with IpmiPool(request_deadline=2) as pool:
        # The first of these seconds may go by while the child starts.
        until(lambda: isinstance(error := refusal(pool, bmc), BmcError) and told(error))


def refusal(pool, bmc):
    with pytest.raises(HardwareError) as caught:
        pool.get_power(bmc.target())
    return caught.value


def told(error):
    return "the BMC has no free session" in str(error)


def test_a_full_bmc_is_not_offered_a_weaker_suite(start_bmc):
    bmc = start_bmc(sessions_left=0)
    with IpmiPool(request_deadline=2) as pool:
        until(lambda: told(refusal(pool, bmc)))
    assert set(bmc.commands) == {(*NO_FREE_SESSION_TOLD, "")}


def test_passwords_beyond_ascii_work(pool, start_bmc):
    bmc = start_bmc(users={"admin": "pässwörd€"})
    assert pool.get_power(bmc.target(password=Secret("pässwörd€"))) == "power off"


def test_a_bmc_on_ipv6_is_reached(pool, start_bmc):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    bmc = start_bmc(address="::1")
    assert pool.get_power(bmc.target()) == "power off"


def test_a_bmc_on_one_of_the_addresses_of_a_name_is_reached(pool, bmc):
    assert pool.get_power(bmc.target(address="localhost")) == "power off"
