"""Erasing real loop disks, judged by blkid and by reading them."""

import shutil
import subprocess

import pytest

from agent import erase
from agent.errors import DeviceError, DeviceNotFound
from agent.imagewriter import Progress

MIB = 1 << 20


def run(*command, **more):
    subprocess.run([str(word) for word in command], check=True, capture_output=True, **more)


def signatures(device, offset=0):
    command = ["blkid", "-p", "-c", "/dev/null", "-O", str(offset), device]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def file_at(device, offset, size, *command):
    """Make a file system on a plain file and put it at ``offset`` of the device."""
    path = f"/dev/shm/agent-erase-{device.rpartition('/')[2]}"
    with open(path, "wb") as file:
        file.truncate(size)
    try:
        run(*command, path)
        run("dd", f"if={path}", f"of={device}", "bs=1M", f"seek={offset // MIB}", "conv=notrunc")
    finally:
        shutil.os.unlink(path)


@pytest.fixture
def used(make_loop):
    """A GPT disk with ext4 in its first partition and swap in its second."""
    device = make_loop()
    script = "label: gpt\nstart=1M, size=24M\nstart=25M, size=16M\n"
    run("sfdisk", "-q", device, input=script.encode())
    file_at(device, MIB, 24 * MIB, "mke2fs", "-q", "-F", "-t", "ext4")
    file_at(device, 25 * MIB, 16 * MIB, "mkswap")
    assert "gpt" in signatures(device)
    assert "ext4" in signatures(device, MIB)
    assert "swap" in signatures(device, 25 * MIB)
    return device


def test_no_signature_is_left_on_the_disk_or_in_its_partitions(used, describe):
    erase.erase_metadata(describe(used))
    assert signatures(used) == ""
    assert signatures(used, MIB) == ""
    assert signatures(used, 25 * MIB) == ""


def test_the_old_partitions_do_not_come_back_with_a_new_table(used, describe):
    erase.erase_metadata(describe(used))
    run("sfdisk", "-q", used, input=b"label: gpt\nstart=1M, size=24M\nstart=25M, size=16M\n")
    assert signatures(used, MIB) == signatures(used, 25 * MIB) == ""


def test_both_gpt_headers_are_gone_even_when_the_backup_is_in_the_middle(make_loop, describe):
    device = make_loop()
    file_at(device, 0, 32 * MIB, "sh", "-c", 'printf "label: gpt\\nsize=8M\\n" | sfdisk -q "$0"')
    with open(device, "rb") as file:
        assert file.read().count(b"EFI PART") == 2
    erase.erase_metadata(describe(device))
    with open(device, "rb") as file:
        assert b"EFI PART" not in file.read()


def test_signatures_at_the_end_of_the_disk_go_too(make_loop, describe):
    device = make_loop()
    magic = bytes.fromhex("fc4e2ba9")
    with open(device, "r+b") as file:
        # md 0.90: in the last 64 KiB aligned block before the last 64 KiB.
        file.seek(64 * MIB - (64 << 10))
        file.write(magic)
    erase.erase_metadata(describe(device))
    with open(device, "rb") as file:
        assert magic not in file.read()


def test_data_in_the_middle_is_left_alone(make_loop, describe):
    device = make_loop()
    with open(device, "rb") as file:
        file.seek(8 * MIB)
        before = file.read(4 * MIB)
    erase.erase_metadata(describe(device))
    with open(device, "rb") as file:
        file.seek(8 * MIB)
        assert file.read(4 * MIB) == before


@pytest.mark.parametrize("size", [1 * MIB * 18, 18 * MIB + 512 * 7])
def test_a_small_disk_of_odd_size_is_wiped(make_loop, describe, size):
    device = make_loop(size=size)
    erase.erase_metadata(describe(device))
    with open(device, "rb") as file:
        assert file.read(MIB) == bytes(MIB)


def test_a_read_only_disk_is_an_error_unless_it_may_be_skipped(make_loop, describe):
    record = describe(make_loop(read_only=True))
    with pytest.raises(DeviceError):
        erase.erase_metadata(record)
    assert "skipped" in erase.erase_metadata(record, skip_read_only=True)


def test_erasing_devices_leaves_only_zeros(make_loop, describe):
    records = [describe(make_loop(size=18 * MIB)) for _ in range(3)]
    progress = Progress()
    text = erase.erase_devices(records, erase.EraseSwitches({}), progress)
    for record in records:
        assert record["name"] in text
        with open(record["name"], "rb") as file:
            assert not any(file.read())
    assert progress.done == progress.total == 2 * 3 * 18 * MIB


def test_without_zeroize_random_data_stay(make_loop, describe):
    record = describe(make_loop(size=18 * MIB))
    switches = erase.EraseSwitches({"agent_erase_devices_zeroize": False})
    erase.erase_devices([record], switches, Progress())
    with open(record["name"], "rb") as file:
        data = file.read()
    assert b"\xa5" * 64 not in data
    assert bytes(64) not in data


def test_switches_that_erase_nothing_are_an_error(make_loop, describe):
    info = {"agent_erase_devices_iterations": 0, "agent_erase_devices_zeroize": False}
    with pytest.raises(DeviceError, match="nothing would be erased"):
        erase.erase_devices([describe(make_loop())], erase.EraseSwitches(info), Progress())


def test_the_result_says_what_was_not_done(make_loop, describe):
    record = describe(make_loop(size=18 * MIB))
    text = erase.erase_devices([record], erase.EraseSwitches({}), Progress())
    assert "no ATA secure erase" in text


def test_what_erases_no_disk_is_an_error_that_names_those_that_were_skipped(make_loop, describe):
    switches = erase.EraseSwitches({"agent_erase_skip_read_only": True})
    with pytest.raises(DeviceNotFound, match="nothing was erased: there is no disk"):
        erase.erase_devices([], switches, Progress())
    skipped = make_loop(size=8 * MIB, read_only=True)
    with pytest.raises(DeviceNotFound, match=f"{skipped} is read-only and was skipped"):
        erase.erase_devices([describe(skipped)], switches, Progress())
    erased = make_loop(size=8 * MIB)
    told = erase.erase_devices([describe(skipped), describe(erased)], switches, Progress())
    assert f"{erased} overwritten" in told
