"""Partition tables made by sfdisk, read and edited by us, judged by sfdisk again."""

import json
import shutil
import subprocess

import pytest

from agent import partitions
from agent.blockdev import BlockTarget
from agent.errors import PartitionTableError

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not shutil.which("sfdisk"), reason="sfdisk is the judge here")


def sfdisk(path, *arguments, script=None):
    command = ["sfdisk", *arguments, str(path)]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=True)


def make(path, script, size=64 * MIB):
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(size)
    sfdisk(path, "-q", script=script)
    return path


@pytest.fixture
def gpt(tmp_path):
    return make(tmp_path / "gpt", "label: gpt\nsize=8M, type=uefi\nsize=16M, name=root\n")


@pytest.fixture
def mbr(tmp_path):
    return make(tmp_path / "mbr", "label: dos\nlabel-id: 0x12345678\nsize=8M, type=ef\nsize=16M\n")


def grow(path, size):
    with path.open("r+b") as file:
        file.truncate(size)


def listed(path):
    return json.loads(sfdisk(path, "--json").stdout)["partitiontable"]


def test_a_gpt_is_read_as_sfdisk_reads_it(gpt):
    with BlockTarget(str(gpt)) as disk:
        table = partitions.read_table(disk)
    theirs = listed(gpt)
    assert table.kind == "gpt"
    assert table.disk_id == theirs["id"].lower()
    assert [p.start // 512 for p in table.partitions] == [p["start"] for p in theirs["partitions"]]
    assert [p.size // 512 for p in table.partitions] == [p["size"] for p in theirs["partitions"]]
    assert [p.uuid for p in table.partitions] == [p["uuid"].lower() for p in theirs["partitions"]]
    assert [p.is_efi_system for p in table.partitions] == [True, False]
    assert table.partitions[1].name == "root"


def test_an_mbr_is_read_with_its_disk_id(mbr):
    with BlockTarget(str(mbr)) as disk:
        table = partitions.read_table(disk)
    assert (table.kind, table.disk_id) == ("mbr", "0x12345678")
    assert [p.size for p in table.partitions] == [8 * MIB, 16 * MIB]
    assert table.partitions[0].is_efi_system


def test_logical_partitions_are_read(tmp_path):
    path = make(tmp_path / "d", "label: dos\nsize=4M\ntype=5\nsize=8M\nsize=8M\n")
    with BlockTarget(str(path)) as disk:
        table = partitions.read_table(disk)
    theirs = listed(path)["partitions"]
    assert [p.start // 512 for p in table.partitions] == [p["start"] for p in theirs]


def test_a_ring_of_extended_records_ends(tmp_path):
    path = make(tmp_path / "d", "label: dos\nsize=4M\ntype=5\nsize=8M\nsize=8M\n")
    extended = listed(path)["partitions"][1]["start"]
    with path.open("r+b") as file:
        file.seek(extended * 512 + 446 + 16)
        entry = bytearray(file.read(16))
        entry[8:12] = (0).to_bytes(4, "little")
        file.seek(extended * 512 + 446 + 16)
        file.write(entry)
    with BlockTarget(str(path)) as disk:
        assert len(partitions.read_table(disk).partitions) < 200


def test_a_partition_added_to_a_grown_gpt_passes_sfdisks_verification(gpt):
    grow(gpt, 96 * MIB)
    with BlockTarget(str(gpt)) as disk:
        added = partitions.add_at_end(disk, 3 * MIB + 1, "config-2")
    assert "No errors detected" in sfdisk(gpt, "--verify").stdout
    theirs = listed(gpt)
    assert theirs["lastlba"] == 96 * MIB // 512 - 34
    assert theirs["partitions"][2]["name"] == "config-2"
    assert theirs["partitions"][2]["start"] * 512 == added.start == 91 * MIB
    assert theirs["partitions"][2]["size"] * 512 == added.size >= 3 * MIB + 1


def test_the_former_partitions_of_a_gpt_stay_as_they_were(gpt):
    before = listed(gpt)["partitions"]
    grow(gpt, 96 * MIB)
    with BlockTarget(str(gpt)) as disk:
        partitions.add_at_end(disk, MIB, "config-2")
    assert listed(gpt)["partitions"][:2] == before


def test_the_backup_gpt_is_whole_and_no_old_one_is_left(gpt):
    grow(gpt, 96 * MIB)
    with BlockTarget(str(gpt)) as disk:
        partitions.add_at_end(disk, MIB, "config-2")
    data = gpt.read_bytes()
    assert data[-512:-504] == b"EFI PART"
    assert data.count(b"EFI PART") == 2
    # The primary is destroyed: what sfdisk now shows comes from the backup.
    gpt.write_bytes(data[:512] + bytes(512) + data[1024:])
    assert len(listed(gpt)["partitions"]) == 3


def test_a_partition_added_to_an_mbr_is_seen_by_sfdisk(mbr):
    grow(mbr, 96 * MIB)
    with BlockTarget(str(mbr)) as disk:
        added = partitions.add_at_end(disk, 2 * MIB, "config-2")
    theirs = listed(mbr)["partitions"]
    assert theirs[2]["start"] * 512 == added.start == 94 * MIB
    assert theirs[2]["size"] * 512 == 2 * MIB
    assert "No errors detected" in sfdisk(mbr, "--verify").stdout


def test_a_full_disk_has_no_room(tmp_path):
    path = make(tmp_path / "full", "label: gpt\n-\n")
    with BlockTarget(str(path)) as disk, pytest.raises(PartitionTableError, match="no room"):
        partitions.add_at_end(disk, MIB, "config-2")


def test_an_mbr_with_four_primary_partitions_is_full(tmp_path):
    path = make(tmp_path / "four", "label: dos\n" + "size=4M\n" * 4)
    with BlockTarget(str(path)) as disk, pytest.raises(PartitionTableError, match="four primary"):
        partitions.add_at_end(disk, MIB, "config-2")


def test_a_blank_disk_has_no_table(tmp_path):
    path = tmp_path / "blank"
    path.write_bytes(bytes(4 * MIB))
    with BlockTarget(str(path)) as disk, pytest.raises(PartitionTableError, match="no partition"):
        partitions.read_table(disk)


@pytest.mark.parametrize("offset", [512 + 40, 1024 + 8, 512 + 16])
def test_a_gpt_with_a_flipped_bit_fails_its_checksum(gpt, offset):
    data = bytearray(gpt.read_bytes())
    data[offset] ^= 1
    gpt.write_bytes(bytes(data))
    with BlockTarget(str(gpt)) as disk, pytest.raises(PartitionTableError, match="checksum"):
        partitions.read_table(disk)


def test_a_disk_smaller_than_its_partitions_is_refused(gpt):
    data = gpt.read_bytes()
    gpt.write_bytes(data[: 12 * MIB])
    with BlockTarget(str(gpt)) as disk, pytest.raises(PartitionTableError, match="beyond the disk"):
        partitions.read_table(disk)
