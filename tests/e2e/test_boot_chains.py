"""Real firmware boots a real kernel from a real NetbootServer: one test for each chain,
and one for each way back to the disk when there is nothing to boot.

Proves the way from power-on to the kernel's command line; what a ramdisk then does is for
other tests.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from drophammer import boots
from tests.e2e.chains import Bench, assert_booted, bios, uefi

pytestmark = pytest.mark.e2e


def test_a_bios_machine_boots_by_ipxe_over_http(bench: Bench) -> None:
    node_id = bench.node("ipxe", "ipxe")
    bench.server.start()
    bench.server.prepare(node_id)
    stages = assert_booted(bench, node_id, bench.power_on(*bios()), "ipxe")
    assert stages[-2:] == ["ramdisk", "ramdisk"]
    assert "loader" not in stages


def test_a_bios_machine_boots_by_pxelinux_even_when_its_firmware_is_ipxe(bench: Bench) -> None:
    node_id = bench.node("pxe", "pxe")
    bench.server.start()
    bench.server.prepare(node_id)
    stages = assert_booted(bench, node_id, bench.power_on(*bios()), "pxe")
    assert stages[:2] == ["loader", "loader"]


def test_a_uefi_machine_boots_by_ipxe_over_http(bench: Bench) -> None:
    node_id = bench.node("ipxe", "ipxe")
    bench.server.start()
    bench.server.prepare(node_id)
    stages = assert_booted(bench, node_id, bench.power_on(*uefi(bench)), "ipxe")
    assert "loader" in stages


def test_a_uefi_machine_boots_by_shim_and_grub_over_tftp(bench: Bench) -> None:
    node_id = bench.node("pxe", "pxe")
    bench.server.start()
    bench.server.prepare(node_id)
    stages = assert_booted(bench, node_id, bench.power_on(*uefi(bench)), "pxe")
    assert stages[0] == "loader"
    assert "config" in stages


def _bios_disk(bench: Bench) -> tuple[str, ...]:
    """A disk whose boot sector writes DISK OK to the serial port and ends the machine."""
    code = bytes.fromhex("baf803")  # mov dx, 0x3f8
    for letter in b"DISK OK":
        code += bytes([0xB0, letter, 0xEE])  # mov al, letter; out dx, al
    code += bytes.fromhex("ba0105b031eef4ebfd")  # mov dx, 0x501; out; hlt; jmp
    disk = bench.folder / "disk"
    disk.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return (*_drive(disk), "-device", "isa-debug-exit,iobase=0x501,iosize=4")


def _uefi_disk(bench: Bench) -> tuple[str, ...]:
    """A FAT disk with shim and GRUB, whose configuration writes DISK OK and switches off."""
    grub = pathlib.Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
    if shutil.which("mcopy") is None or not grub.exists():
        pytest.skip("needs mtools and grub-efi-amd64-signed")
    disk, config = bench.folder / "disk", bench.folder / "grub.cfg"
    config.write_text("echo DISK OK\nhalt\n")
    with disk.open("wb") as file:
        file.truncate(34 << 20)
    for command in (
        f"mformat -i {disk} -F ::",
        f"mmd -i {disk} ::/EFI ::/EFI/BOOT ::/EFI/debian",
        f"mcopy -i {disk} /usr/lib/shim/shimx64.efi.signed ::/EFI/BOOT/BOOTX64.EFI",
        f"mcopy -i {disk} {grub} ::/EFI/BOOT/grubx64.efi",
        f"mcopy -i {disk} {config} ::/EFI/debian/grub.cfg",
    ):
        subprocess.run(command.split(), check=True)
    return _drive(disk)


def _drive(disk: pathlib.Path) -> tuple[str, ...]:
    return (
        *("-drive", f"if=none,id=d0,file={disk},format=raw"),
        *("-device", "virtio-blk-pci,drive=d0,bootindex=1"),
    )


@pytest.mark.parametrize("interface", ["ipxe", "pxe"])
@pytest.mark.seed("s25")
def test_a_bios_machine_with_nothing_to_boot_goes_on_to_its_disk(
    bench: Bench, interface: str
) -> None:
    node_id = bench.node(interface, interface)
    with bench.store.write() as session:
        boots.clear(session, node_id)
    bench.server.start()
    serial = bench.power_on(*bios(), *_bios_disk(bench))
    assert "nothing to boot from the network" in serial
    assert "DISK OK" in serial


@pytest.mark.parametrize("way", ["chain", "zero"])
@pytest.mark.seed("s25")
def test_a_bios_machine_goes_on_to_its_disk_in_the_way_that_was_chosen(
    tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path, way: str
) -> None:
    bench = Bench(tmp_path, chain_namespace, chain_dir, bios_to_disk=way)
    node_id = bench.node("pxe", "pxe")
    with bench.store.write() as session:
        boots.clear(session, node_id)
    try:
        bench.server.start()
        serial = bench.power_on(*bios(), *_bios_disk(bench))
    finally:
        bench.server.stop()
        bench.store.close()
    assert "DISK OK" in serial


@pytest.mark.seed("s25")
def test_a_uefi_machine_with_nothing_to_boot_goes_on_to_its_disk_through_grub(
    bench: Bench,
) -> None:
    node_id = bench.node("pxe", "pxe")
    with bench.store.write() as session:
        boots.clear(session, node_id)
    bench.server.start()
    serial = bench.power_on(*uefi(bench), *_uefi_disk(bench))
    assert "nothing to boot from the network" in serial
    assert "DISK OK" in serial
