"""The pool against OpenIPMI's ipmi_sim, a BMC that nobody here wrote; also speaks IPMI 1.5."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess

import pytest

from conductor.ipmi.target import BmcTarget
from drophammer.errors import BmcAuthFailed, BmcError, BmcUnreachable
from drophammer.secret import Secret
from tests.patience import until

pytestmark = pytest.mark.skipif(
    shutil.which("ipmi_sim") is None, reason="ipmi_sim (package openipmi) is not installed"
)

LAN = """name "sim"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
"""
EMULATION = """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""


@pytest.fixture
def simulator(tmp_path, pool):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (tmp_path / "lan.conf").write_text(LAN.format(port=port))
    (tmp_path / "sim.emu").write_text(EMULATION)
    (tmp_path / "state").mkdir()
    process = subprocess.Popen(
        ["ipmi_sim", "-c", "lan.conf", "-f", "sim.emu", "-s", "state"],
        cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    target = BmcTarget("127.0.0.1", port, "admin", Secret("secret"))
    try:
        _wait_until_it_answers(pool, target)
        yield lambda **changes: BmcTarget(**{**vars(target), **changes})
    finally:
        process.kill()
        process.communicate()


def _wait_until_it_answers(pool, target):
    def answers():
        with contextlib.suppress(BmcUnreachable):
            return pool.identify(target)

    until(answers)


@pytest.mark.parametrize("protocol", ["1.5", "2.0"])
def test_a_bmc_is_identified(pool, simulator, protocol):
    info = pool.identify(simulator(protocol=protocol))
    assert (info.firmware, info.manufacturer, info.product_id) == ("9.08", "IANA 4753", 0xF02)


@pytest.mark.parametrize("protocol", ["1.5", "2.0"])
def test_power_is_read(pool, simulator, protocol):
    assert pool.get_power(simulator(protocol=protocol)) in ("power on", "power off")


@pytest.mark.parametrize("protocol", ["1.5", "2.0"])
def test_an_unknown_user_is_refused(pool, simulator, protocol):
    with pytest.raises(BmcAuthFailed, match="user name is not known"):
        pool.identify(simulator(protocol=protocol, username="nobody"))


@pytest.mark.parametrize("protocol", ["1.5", "2.0"])
def test_a_wrong_password_is_refused(pool, simulator, protocol):
    with pytest.raises(BmcAuthFailed, match="password"):
        pool.identify(simulator(protocol=protocol, password=Secret("wrong")))


def test_an_unknown_command_is_told(pool, simulator):
    with pytest.raises(BmcError, match="completion code 0xc1"):
        pool.raw(simulator(), 0x32, 0x01)
