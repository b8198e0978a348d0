import pytest

from lab import bootflags

ONE_TIME_PXE = bytes([0x80, 1 << 2, 0, 0, 0])
PERSISTENT_PXE = bytes([0xC0, 1 << 2, 0, 0, 0])
NETWORK_FIRST = ("net0", "disk0")
DISK_FIRST = ("disk0", "net0")


@pytest.fixture
def flags():
    return bootflags.BootFlags()


def test_without_flags_the_disk_comes_first(flags):
    assert flags.take() == DISK_FIRST


def test_a_one_time_override_holds_for_one_boot(flags):
    flags.set(ONE_TIME_PXE)
    assert [flags.take(), flags.take()] == [NETWORK_FIRST, DISK_FIRST]
    assert flags.raw == bytes(5)


def test_a_persistent_override_holds_until_it_is_changed(flags):
    flags.set(PERSISTENT_PXE)
    assert [flags.take(), flags.take()] == [NETWORK_FIRST, NETWORK_FIRST]
    assert flags.raw == PERSISTENT_PXE


def test_flags_without_the_valid_bit_do_not_count(flags):
    flags.set(bytes([0x40, 1 << 2, 0, 0, 0]))
    assert flags.take() == DISK_FIRST


def test_all_five_bytes_read_back(flags):
    flags.set(bytes([0xE0, 0x04, 0x02, 0x00, 0x01]))
    assert flags.raw == bytes([0xE0, 0x04, 0x02, 0x00, 0x01])


def test_missing_bytes_count_as_zero(flags):
    flags.set(b"\x80")
    assert flags.raw == b"\x80\0\0\0\0"


def test_a_device_that_is_not_there_changes_nothing(flags):
    flags.set(PERSISTENT_PXE)
    with pytest.raises(bootflags.UnknownBootDevice, match="boot device 5"):
        flags.set(bytes([0x80, 5 << 2, 0, 0, 0]))
    assert flags.raw == PERSISTENT_PXE
