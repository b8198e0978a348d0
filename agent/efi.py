"""The UEFI side of a written disk: which boot loader it has, and a boot entry for it.

Entries are written through efivarfs (load options: UEFI 2.10 section 3.1.3,
device paths: section 10.3). Boot loaders themselves are never installed: a
whole-disk image brings its own.
"""

from __future__ import annotations

import fcntl
import os
import struct
import uuid

from agent.blockdev import BlockTarget
from agent.errors import BootloaderError
from agent.fat import Fat
from agent.partitions import Partition, Table

EFIVARS = "/sys/firmware/efi/efivars"
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ATTRIBUTES = struct.pack("<I", 7)
_LOAD_OPTION_ACTIVE = 1
_LABEL = "Drophammer"
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10
#: What firmware starts by itself from a disk (UEFI 2.10 section 3.5.1.1).
REMOVABLE_LOADERS = {"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI"}
_VENDOR_LOADERS = ("SHIMX64.EFI", "SHIMAA64.EFI", "GRUBX64.EFI", "GRUBAA64.EFI")


def find_loader(disk: BlockTarget, table: Table, machine: str) -> tuple[Partition, list[str]]:
    """The EFI system partition and the loader's path in it, as names from the root.

    The removable-media loader is preferred, then a vendor's. Raises
    BootloaderError, naming what was looked for.
    """
    systems = [part for part in table.partitions if part.is_efi_system]
    if not systems:
        raise BootloaderError(
            f"{disk.path} has no EFI system partition: this image cannot boot in UEFI mode"
        )
    removable = REMOVABLE_LOADERS.get(machine, "BOOTX64.EFI")
    for part in systems:
        fat = Fat(disk, part.start)
        if fat.exists("EFI", "BOOT", removable):
            return part, ["EFI", "BOOT", removable]
        for vendor in fat.names("EFI"):
            for loader in _VENDOR_LOADERS:
                if fat.exists("EFI", vendor, loader):
                    return part, ["EFI", vendor, loader]
    raise BootloaderError(
        f"the EFI system partition of {disk.path} holds neither \\EFI\\BOOT\\{removable} nor a"
        " vendor's shim or grub"
    )


def add_boot_entry(
    part: Partition, table: Table, loader: list[str], sector: int, efivars: str = EFIVARS
) -> str:
    """Make the firmware try the loader first; the entry's name, such as "Boot0003".

    An entry that an earlier deploy made is used again. Raises BootloaderError when
    the firmware's variables cannot be written.
    """
    option = load_option(part, table, loader, sector)
    try:
        number = _own_or_free_number(efivars)
        _write_variable(efivars, f"Boot{number:04X}", option)
        order = [n for n in _boot_order(efivars) if n != number]
        _write_variable(efivars, "BootOrder", struct.pack(f"<{len(order) + 1}H", number, *order))
    except OSError as error:
        raise BootloaderError(f"no boot entry could be written: {error}") from error
    return f"Boot{number:04X}"


def load_option(part: Partition, table: Table, loader: list[str], sector: int) -> bytes:
    """The bytes of an EFI_LOAD_OPTION for a file on a partition."""
    if table.kind == "gpt":
        signature, table_type, signature_type = uuid.UUID(part.uuid).bytes_le, 2, 2
    else:
        signature = int(table.disk_id, 16).to_bytes(4, "little") + bytes(12)
        table_type, signature_type = 1, 1
    drive = struct.pack(
        "<BBHIQQ16sBB",
        *(4, 1, 42, part.number, part.start // sector, part.size // sector),
        *(signature, table_type, signature_type),
    )
    path = ("\\" + "\\".join(loader) + "\0").encode("utf-16-le")
    file = struct.pack("<BBH", 4, 4, 4 + len(path)) + path
    device_path = drive + file + struct.pack("<BBH", 0x7F, 0xFF, 4)
    label = (_LABEL + "\0").encode("utf-16-le")
    return struct.pack("<IH", _LOAD_OPTION_ACTIVE, len(device_path)) + label + device_path


def _own_or_free_number(efivars: str) -> int:
    used = set()
    label = (_LABEL + "\0").encode("utf-16-le")
    for name in os.listdir(efivars):
        number = name[4:8]
        if name[:4] != "Boot" or name[8:] != f"-{_GLOBAL}" or not _is_hex(number):
            continue
        if _read_variable(efivars, name[:8])[6:].startswith(label):
            return int(number, 16)
        used.add(int(number, 16))
    return next(number for number in range(0x10000) if number not in used)


def _is_hex(text: str) -> bool:
    return len(text) == 4 and set(text) <= set("0123456789ABCDEF")


def _boot_order(efivars: str) -> list[int]:
    data = _read_variable(efivars, "BootOrder")
    return list(struct.unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2]))


def _read_variable(efivars: str, name: str) -> bytes:
    try:
        with open(f"{efivars}/{name}-{_GLOBAL}", "rb") as file:
            return file.read()[4:]
    except FileNotFoundError:
        return b""


def _write_variable(efivars: str, name: str, value: bytes) -> None:
    path = f"{efivars}/{name}-{_GLOBAL}"
    _make_mutable(path)
    # efivarfs takes a variable in one write only.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, _ATTRIBUTES + value)
    finally:
        os.close(fd)


def _make_mutable(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        flags = int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8))[:4], "little")
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("<Q", flags & ~_IMMUTABLE))
    except OSError:
        # Not efivarfs, or already mutable; the write itself will tell.
        pass
    finally:
        os.close(fd)
