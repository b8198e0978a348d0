"""The inventory out of a recorded /sys and /proc."""

import struct

import pytest

from agent.hardware import Machine, memory_of_smbios


@pytest.fixture
def machine(sys_root, proc_root):
    return Machine(str(sys_root), str(proc_root), boot_mac="52:54:00:22:00:01")


def test_only_hardware_interfaces_are_listed(machine):
    assert [nic["name"] for nic in machine.interfaces()] == ["eno2", "eth0"]


def test_a_virtio_interface_shows_the_pci_device_above_it(machine):
    eth0 = machine.interfaces()[1]
    assert eth0["mac_address"] == "52:54:00:22:00:01"
    assert (eth0["vendor"], eth0["product"]) == ("0x1af4", "0x1000")
    assert eth0["pci_address"] == "0000:00:02.0"
    assert eth0["driver"] == "virtio_net"
    assert eth0["has_carrier"] is True


def test_an_unknown_speed_is_null(machine):
    assert [nic["speed_mbps"] for nic in machine.interfaces()] == [1000, None]


def test_a_mac_is_in_lower_case(machine):
    assert machine.interfaces()[0]["mac_address"] == "a0:36:9f:00:00:02"


def test_the_global_ipv6_address_is_preferred_to_the_link_local_one(machine):
    assert machine.interfaces()[1]["ipv6_address"] == "fd00:22::11"


def test_an_interface_has_exactly_the_keys_of_the_contract(machine):
    assert set(machine.interfaces()[0]) == {
        *("name", "mac_address", "ipv4_address", "ipv6_address", "has_carrier", "lldp"),
        *("vendor", "product", "client_id", "biosdevname", "speed_mbps", "pci_address", "driver"),
    }


def test_cpus_and_sockets_are_counted(machine):
    cpu = machine.cpu()
    assert (cpu["count"], cpu["socket_count"]) == (4, 2)
    assert cpu["model_name"] == "Xeon Gold 6230"
    assert cpu["frequency"] == "2100.000"
    assert cpu["flags"] == ["fpu", "vme", "sse2"]


def test_memory_is_whole_bytes_and_falls_back_on_the_kernels_figure(machine):
    assert machine.memory() == {"total": 16384000 * 1024, "physical_mb": 16000}


def test_plugged_memory_is_summed_from_the_smbios(machine, sys_root):
    path = sys_root / "firmware/dmi/tables"
    path.mkdir(parents=True)
    (path / "DMI").write_bytes(smbios([8192, 8192, 0]))
    assert machine.memory()["physical_mb"] == 16384


def smbios(sizes):
    table = struct.pack("<BBH", 0, 4, 0) + b"vendor\0\0"
    for size in sizes:
        table += struct.pack("<BBHHHHHH", 17, 0x22, 1, 0, 0, 64, 64, size)
        table += bytes(0x22 - 14) + b"DIMM 0\0\0"
    return table + struct.pack("<BBH", 127, 4, 0) + b"\0\0"


def test_a_module_beyond_32_gib_is_read_from_the_extended_size():
    record = struct.pack("<BBHHHHHH", 17, 0x22, 1, 0, 0, 64, 64, 0x7FFF).ljust(0x1C, b"\0")
    record += struct.pack("<I", 65536) + b"\0\0" + b"\0\0"
    assert memory_of_smbios(record) == 65536


@pytest.mark.parametrize("table", [b"", b"\x11", b"\x11\x02\0\0", b"\x11\xff\0\0short"])
def test_a_damaged_smbios_is_no_memory_and_no_error(table):
    assert memory_of_smbios(table) == 0


def test_the_vendor_and_firmware_are_read(machine):
    vendor = machine.system_vendor()
    assert vendor["product_name"] == "PowerEdge R640"
    assert vendor["firmware"] == {
        "vendor": "Dell Inc.",
        "version": "2.10.2",
        "build_date": "02/24/2021",
    }


def test_the_boot_mode_follows_the_firmware(machine, sys_root):
    assert machine.boot() == {"current_boot_mode": "bios", "pxe_interface": "52:54:00:22:00:01"}
    (sys_root / "firmware/efi").mkdir(parents=True)
    assert machine.boot()["current_boot_mode"] == "uefi"


def test_the_inventory_has_the_keys_of_the_contract(machine):
    assert set(machine.inventory()) == {
        *("interfaces", "cpu", "disks", "memory", "bmc_address", "bmc_v6address", "bmc_mac"),
        *("system_vendor", "boot", "hostname"),
    }


def test_a_machine_without_anything_gives_an_inventory(tmp_path):
    inventory = Machine(str(tmp_path), str(tmp_path)).inventory()
    assert inventory["interfaces"] == inventory["disks"] == []
    assert inventory["memory"]["total"] is None
