"""What the pool sends to a BMC and what it makes of the answers, byte for byte."""

from __future__ import annotations

import pytest

from conductor.ipmi.commands import BootDevice, is_harmless_twice
from drophammer.errors import BmcError, Invalid

CHASSIS_CONTROL = (0, 2)


def sent(bmc, netfn, command):
    return [data for *number, data in bmc.commands if tuple(number) == (netfn, command)]


def once_each(told):
    """Without what was said again because its answer was late."""
    return list(dict.fromkeys(told))


def test_power_state_is_read(pool, bmc):
    assert pool.get_power(bmc.target()) == "power off"
    bmc.tell(power=1)
    assert pool.get_power(bmc.target()) == "power on"


def test_power_on_reaches_the_machine(pool, bmc):
    pool.set_power(bmc.target(), "on")
    assert bmc.report()["power"] == 1


@pytest.mark.parametrize(
    ("action", "data"),
    [("off", "00"), ("on", "01"), ("cycle", "02"), ("reset", "03"), ("diag", "04"), ("soft", "05")],
)
def test_each_power_action_is_sent_once_as_its_number(pool, bmc, action, data):
    pool.set_power(bmc.target(), action)
    told = sent(bmc, *CHASSIS_CONTROL)
    assert (once_each(told) if is_harmless_twice(action) else told) == [data]


def test_an_unknown_power_action_is_refused_without_asking_the_bmc(pool, bmc):
    with pytest.raises(Invalid, match="'explode': allowed are off, on, cycle"):
        pool.set_power(bmc.target(), "explode")
    assert bmc.commands == []


@pytest.mark.parametrize(
    ("device", "persistent", "uefi", "data"),
    [
        ("pxe", False, False, "058004000000"),
        ("pxe", True, True, "05e004000000"),
        ("disk", True, False, "05c008000000"),
        ("safe", False, False, "05800c000000"),
        ("cdrom", False, True, "05a014000000"),
        ("bios", False, False, "058018000000"),
    ],
)
def test_boot_flags_carry_valid_bit_device_and_mode(pool, bmc, device, persistent, uefi, data):
    pool.set_boot_device(bmc.target(), device, persistent=persistent, uefi=uefi)
    assert once_each(sent(bmc, 0, 8)) == ["0308", data]


@pytest.mark.parametrize("device", ["pxe", "disk", "cdrom", "bios", "safe"])
def test_a_boot_device_reads_back_as_it_was_set(pool, bmc, device):
    pool.set_boot_device(bmc.target(), device, persistent=True, uefi=True)
    assert pool.get_boot_device(bmc.target()) == BootDevice(device, True, True)


def test_no_override_reads_as_no_device(pool, bmc):
    assert pool.get_boot_device(bmc.target()) == BootDevice(None, None, False)


def test_the_boot_timeout_is_left_alone_when_so_asked(pool, bmc):
    pool.set_boot_device(bmc.target(), "pxe", persistent=False, uefi=False, disable_timeout=False)
    assert once_each(sent(bmc, 0, 8)) == ["058004000000"]


def test_a_bmc_without_boot_timeout_parameter_still_gets_its_boot_device(pool, bmc):
    bmc.tell(codes={"0,8": [0x80]})
    pool.set_boot_device(bmc.target(), "disk", persistent=False, uefi=False)
    assert once_each(sent(bmc, 0, 8)) == ["0308", "058008000000"]


def test_a_raw_command_returns_the_bytes_after_the_completion_code(pool, bmc):
    assert pool.raw(bmc.target(), 0x2E, 0x42, b"\xaa\xbb") == b"\xbb\xaa"


def test_identify_names_firmware_and_maker(pool, bmc):
    info = pool.identify(bmc.target())
    assert (info.firmware, info.manufacturer, info.manufacturer_id) == ("2.81", "Dell", 674)
    assert (info.ipmi_version, info.product_id) == ("2.0", 256)


def test_a_completion_code_is_told_in_words(pool, bmc):
    bmc.tell(codes={"0,2": [0xD5]})
    with pytest.raises(BmcError) as caught:
        pool.set_power(bmc.target(), "reset")
    text = str(caught.value)
    assert f"IPMI power reset failed at BMC 127.0.0.1:{bmc.port} (user 'admin')" in text
    assert "completion code 0xd5: the BMC cannot do this in its present state" in text


def test_a_busy_bmc_is_asked_again(pool, bmc):
    bmc.tell(codes={"0,2": [0xC0]})
    pool.set_power(bmc.target(), "on")
    told = sent(bmc, *CHASSIS_CONTROL)
    assert (set(told), len(told) >= 2) == ({"01"}, True)


def test_one_session_serves_many_commands(pool, bmc):
    for _ in range(20):
        pool.get_power(bmc.target())
    assert bmc.report()["logins"] == 1
