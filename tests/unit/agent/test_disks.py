"""Which disks there are, and which is the root disk."""

import pytest

from agent.disks import choose_root, list_disks, root_hints_of
from agent.errors import DeviceNotFound, InvalidHint

GIB = 1 << 30


def disk(name, gib, **more):
    return {"name": name, "size": int(gib * GIB), "model": "m", "serial": None, **more}


def test_only_disks_with_a_size_are_listed_in_order(sys_root):
    assert [d["name"] for d in list_disks(str(sys_root))] == [
        "/dev/nvme0n1",
        "/dev/sda",
        "/dev/vda",
    ]


def test_a_virtio_disk_is_described(sys_root):
    vda = list_disks(str(sys_root))[2]
    assert vda["size"] == 20 * GIB
    assert vda["serial"] == "LAB-1"
    assert vda["rotational"] is True
    assert vda["tran"] == "virtio"
    assert vda["by_path"] == "/dev/disk/by-path/pci-0000:00:04.0"
    assert (vda["logical_sectors"], vda["physical_sectors"]) == (512, 4096)


def test_a_sata_disk_is_described(sys_root):
    sda = list_disks(str(sys_root))[1]
    assert sda["model"] == "Samsung SSD 860"
    assert sda["serial"] == "S3Z9NB0K"
    assert sda["wwn"] == sda["wwn_with_extension"] == "0x5002538e40a8ce12"
    assert sda["hctl"] == "0:0:0:0"
    assert sda["tran"] == "sata"
    assert sda["rotational"] is False


def test_an_nvme_disk_is_described(sys_root):
    nvme = list_disks(str(sys_root))[0]
    assert nvme["serial"] == "PHLJ0001"
    assert nvme["wwn"] == "eui.01000000010000005cd2e4"
    assert nvme["tran"] == "nvme"
    assert nvme["by_path"] == "/dev/disk/by-path/pci-0000:01:00.0-nvme-1"


def test_without_hints_the_smallest_disk_of_at_least_four_gibibytes_is_taken():
    disks = [disk("/dev/a", 3.9), disk("/dev/b", 100), disk("/dev/c", 4)]
    assert choose_root(disks, {})["name"] == "/dev/c"


def test_of_two_equal_disks_the_first_by_name_is_taken():
    assert choose_root([disk("/dev/b", 8), disk("/dev/a", 8)], {})["name"] == "/dev/a"


def test_with_hints_the_first_fitting_disk_is_taken_whatever_its_size():
    disks = [disk("/dev/a", 8), disk("/dev/b", 1), disk("/dev/c", 1)]
    assert choose_root(disks, {"size": 1})["name"] == "/dev/b"


def test_hints_that_fit_no_disk_are_named_with_the_disks_seen():
    with pytest.raises(DeviceNotFound) as caught:
        choose_root([disk("/dev/a", 8)], {"serial": "XYZ"})
    assert "XYZ" in caught.value.message
    assert "/dev/a (8.0 GiB" in caught.value.message


def test_a_machine_without_a_large_disk_is_told_so():
    with pytest.raises(DeviceNotFound, match=r"at least 4 GiB.*no disk at all"):
        choose_root([], {})


def test_a_bad_hint_is_an_error_even_without_disks():
    with pytest.raises(InvalidHint):
        choose_root([], {"colour": "red"})


def test_hints_of_the_instance_win_over_those_of_the_node():
    node = {
        "instance_info": {"root_device": {"serial": "a"}},
        "properties": {"root_device": {"serial": "b"}},
    }
    assert root_hints_of(node) == {"serial": "a"}
    assert root_hints_of({"properties": node["properties"]}) == {"serial": "b"}
    assert root_hints_of({}) == {}


def test_hints_that_are_no_object_are_refused():
    with pytest.raises(DeviceNotFound, match="not an object"):
        root_hints_of({"properties": {"root_device": "sda"}})
