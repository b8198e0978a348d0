"""IPMI commands as bytes, answers as values."""

from __future__ import annotations

import pytest

from conductor.ipmi import commands
from conductor.ipmi.commands import BootDevice, Garbled
from drophammer.errors import Invalid


def test_bit_0_of_the_chassis_status_is_the_power():
    assert commands.power_state(b"\x41\x00\x00") == "power on"
    assert commands.power_state(b"\x40\x00\x00") == "power off"


def test_an_empty_chassis_status_is_garbled():
    with pytest.raises(Garbled):
        commands.power_state(b"")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("01 05 80 04 00 00 00", BootDevice("pxe", False, False)),
        ("01 05 e0 08 00 00 00", BootDevice("disk", True, True)),
        ("01 05 c0 0c 00 00 00", BootDevice("safe", True, False)),
        ("01 05 80 14 00 00 00", BootDevice("cdrom", False, False)),
        ("01 05 80 18 00 00 00", BootDevice("bios", False, False)),
        # A device without a name here: something is set, but what is not ours.
        ("01 05 80 3c 00 00 00", BootDevice(None, False, False)),
        # Valid bit missing, device "no override", parameter locked as invalid.
        ("01 05 40 04 00 00 00", BootDevice(None, None, False)),
        ("01 05 c0 00 00 00 00", BootDevice(None, None, False)),
        ("01 85 80 04 00 00 00", BootDevice(None, None, False)),
    ],
)
def test_boot_flags_are_read(answer, expected):
    assert commands.boot_device(bytes.fromhex(answer)) == expected


@pytest.mark.parametrize("answer", ["", "01 05 80", "01 04 80 04 00 00 00"])
def test_other_answers_are_not_boot_flags(answer):
    with pytest.raises(Garbled, match="boot flags read"):
        commands.boot_device(bytes.fromhex(answer))


def test_an_unknown_boot_device_is_refused():
    with pytest.raises(Invalid, match="'floppy': allowed are pxe, disk, safe, cdrom, bios"):
        commands.set_boot_flags("floppy", persistent=False, uefi=False)


def test_the_device_id_is_read():
    info = commands.device_info(bytes.fromhex("20 01 02 09 51 bf a2 02 00 00 01 00 00 00 00"))
    assert (info.device_id, info.firmware, info.ipmi_version) == (0x20, "2.09", "1.5")
    assert (info.manufacturer, info.product_id) == ("Dell", 0x100)


def test_an_unknown_maker_is_shown_by_number():
    answer = bytes.fromhex("20 01 02 09 02 bf ff ff 0f 00 01")
    assert commands.device_info(answer).manufacturer == "IANA 1048575"


def test_a_short_device_id_is_garbled():
    with pytest.raises(Garbled):
        commands.device_info(bytes(10))


@pytest.mark.parametrize(
    ("netfn", "command", "data", "said"),
    [
        (1, 0, b"", "netfn"),
        (64, 0, b"", "netfn"),
        (-2, 0, b"", "netfn"),
        (0, 256, b"", "does not fit a byte"),
        (0, 0, [256], "bytes, or numbers"),
        (0, 0, bytes(201), "201 data bytes"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(netfn, command, data, said):
    with pytest.raises(Invalid, match=said):
        commands.raw(netfn, command, data)


def test_only_on_and_off_are_harmless_twice():
    twice = [action for action in commands.POWER_ACTIONS if commands.is_harmless_twice(action)]
    assert twice == ["off", "on"]
