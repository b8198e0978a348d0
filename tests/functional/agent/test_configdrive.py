"""The config drive: unpacking it, and its partition at the end of a real loop disk."""

import base64
import gzip
import json
import subprocess

import pytest

from agent import configdrive
from agent.blockdev import BlockTarget
from agent.errors import ConfigDriveError

MIB = 1 << 20


@pytest.fixture(scope="session")
def iso(tmp_path_factory):
    """An ISO 9660 image with the label config-2."""
    root = tmp_path_factory.mktemp("drive")
    (root / "content/openstack/latest").mkdir(parents=True)
    (root / "content/openstack/latest/meta_data.json").write_text('{"name": "secret-name"}')
    command = ["genisoimage", "-quiet", "-R", "-V", "config-2", "-o", root / "iso"]
    subprocess.run([*command, root / "content"], check=True)
    return (root / "iso").read_bytes()


@pytest.fixture
def packed(iso):
    return base64.b64encode(gzip.compress(iso)).decode()


def partition(device, script):
    subprocess.run(["sfdisk", "-q", device], input=script, text=True, check=True)


def listed(device):
    said = subprocess.check_output(["sfdisk", "--json", device])
    return json.loads(said)["partitiontable"]["partitions"]


def test_base64_of_gzip_is_unpacked(iso, packed, options):
    assert configdrive.load(packed, options()) == iso


def test_line_breaks_in_the_base64_do_no_harm(iso, packed, options):
    broken = "\n".join(packed[at : at + 76] for at in range(0, len(packed), 76))
    assert configdrive.load(broken, options()) == iso


def test_a_url_is_fetched(iso, packed, options, image_server):
    image_server.image = packed.encode()
    assert configdrive.load(image_server.url, options()) == iso


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"no gzip").decode(),
        base64.b64encode(gzip.compress(b"x" * 5000, mtime=0)[:-20]).decode(),
        base64.b64encode(gzip.compress(b"", mtime=0)).decode(),
    ],
)
def test_what_is_no_config_drive_is_refused_without_showing_it(text, options):
    with pytest.raises(ConfigDriveError) as caught:
        configdrive.load(text, options())
    assert len(text) < 12 or text not in caught.value.message


def test_a_bomb_is_not_unpacked(options):
    bomb = base64.b64encode(gzip.compress(bytes(80 * MIB))).decode()
    with pytest.raises(ConfigDriveError, match="larger than 64 MiB"):
        configdrive.load(bomb, options())


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_a_new_partition_at_the_end_holds_the_drive(make_loop, iso, label):
    device = make_loop()
    partition(device, f"label: {label}\nsize=8M\n")
    with BlockTarget(device) as disk:
        assert "partition 2" in configdrive.write(disk, iso)
    place = listed(device)[1]
    with open(device, "rb") as file:
        file.seek(place["start"] * 512)
        assert file.read(len(iso)) == iso
    assert place["start"] + place["size"] > 62 * MIB // 512
    said = subprocess.check_output(
        ["blkid", "-p", "-O", str(place["start"] * 512), "-o", "value", "-s", "LABEL", device]
    )
    assert said == b"config-2\n"


def test_a_partition_that_is_labelled_already_is_used_again(make_loop, iso):
    device = make_loop()
    partition(device, "label: gpt\nsize=8M\nsize=4M, name=config-2\nsize=4M\n")
    before = listed(device)
    with BlockTarget(device) as disk:
        assert "partition 2" in configdrive.write(disk, iso)
    assert listed(device) == before
    with open(device, "rb") as file:
        file.seek(before[1]["start"] * 512)
        assert file.read(len(iso)) == iso


def test_a_second_drive_replaces_the_first(make_loop, iso):
    device = make_loop()
    partition(device, "label: dos\nsize=8M\n")
    for _ in range(2):
        with BlockTarget(device) as disk:
            configdrive.write(disk, iso)
    assert len(listed(device)) == 2


def test_a_labelled_partition_that_is_too_small_is_an_error(make_loop, iso):
    device = make_loop()
    partition(device, "label: gpt\nsize=8M\nsize=64K, name=config-2\n")
    with BlockTarget(device) as disk, pytest.raises(ConfigDriveError, match="holds 65536"):
        configdrive.write(disk, iso)


def test_a_disk_without_a_table_is_an_error(make_loop, iso):
    device = make_loop()
    with BlockTarget(device) as disk, pytest.raises(ConfigDriveError, match="no partition table"):
        configdrive.write(disk, iso)
