"""Looking into FAT file systems made by mkfs.vfat and filled by mtools."""

import shutil
import subprocess

import pytest

from agent.blockdev import BlockTarget
from agent.errors import BootloaderError
from agent.fat import Fat

MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    not (shutil.which("mkfs.vfat") and shutil.which("mcopy")), reason="needs mkfs.vfat and mtools"
)


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@pytest.fixture(params=[(12, 4), (16, 32), (32, 40)], ids=["FAT12", "FAT16", "FAT32"])
def image(request, tmp_path):
    """A disk with 1 MiB of nothing, then a FAT file system with many files in EFI/BOOT."""
    bits, megabytes = request.param
    disk, loader = tmp_path / "disk", tmp_path / "loader"
    with disk.open("wb") as file:
        file.truncate((1 + megabytes) * MIB)
    loader.write_bytes(b"MZ")
    sectors = ["-s", "1"] if bits == 32 else []
    run("mkfs.vfat", "-F", bits, *sectors, "-n", "ESP", "--offset=2048", disk)
    volume = f"{disk}@@1M"
    run("mmd", "-i", volume, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    # More than one cluster of names, so that a directory's chain must be followed.
    names = [tmp_path / f"file{number:03}.txt" for number in range(40)]
    for name in names:
        name.write_bytes(b"")
    run("mcopy", "-i", volume, *names, "::/EFI/BOOT/")
    run("mcopy", "-i", volume, loader, "::/EFI/BOOT/BOOTX64.EFI")
    run("mcopy", "-i", volume, loader, "::/EFI/debian/shimx64.efi")
    return disk


def test_a_loader_is_found_whatever_the_case(image):
    with BlockTarget(str(image)) as disk:
        fat = Fat(disk, MIB)
        assert fat.exists("EFI", "BOOT", "BOOTX64.EFI")
        assert fat.exists("efi", "Debian", "shimx64.efi")


def test_what_is_not_there_is_not_found(image):
    with BlockTarget(str(image)) as disk:
        fat = Fat(disk, MIB)
        assert not fat.exists("EFI", "BOOT", "BOOTAA64.EFI")
        assert not fat.exists("EFI", "fedora", "shimx64.efi")


def test_directories_are_listed_without_dots(image):
    with BlockTarget(str(image)) as disk:
        assert Fat(disk, MIB).names("EFI") == ["BOOT", "DEBIAN"]
        assert len(Fat(disk, MIB).names("EFI", "BOOT")) == 41


def test_other_content_is_no_fat(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(bytes(range(256)) * 4096)
    with BlockTarget(str(path)) as disk, pytest.raises(BootloaderError, match="no FAT"):
        Fat(disk, 0)
