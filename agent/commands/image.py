"""``image.install_bootloader``: makes sure that the written disk will boot.

A whole-disk image brings its boot loader along, so nothing is installed. In UEFI
mode the loader is looked for and, where the firmware lets us, made the first
boot entry. In BIOS mode the boot code in the image's first sector is all there is.
"""

from __future__ import annotations

import os
import platform

from agent import efi, partitions
from agent.blockdev import BlockTarget
from agent.console import say
from agent.context import Context
from agent.errors import BootloaderError
from agent.imagewriter import Progress
from agent.jobs import Command


def commands(context: Context) -> list[Command]:
    """The extension's commands."""

    def install_bootloader(
        progress: Progress,
        root_uuid: object = None,
        efi_system_part_uuid: object = None,
        prep_boot_part_uuid: object = None,
        target_boot_mode: object = None,
        ignore_bootloader_failure: object = None,
    ) -> object:
        ignore = ignore_bootloader_failure
        if ignore is None:
            ignore = context.options.ignore_bootloader_failure
        try:
            return make_bootable(context.installed_disk(), target_boot_mode)
        except BootloaderError as error:
            if not ignore:
                raise
            say(f"bootloader: ignored: {error.message}")
            return f"ignored as asked: {error.message}"

    return [
        Command(
            "image.install_bootloader",
            install_bootloader,
            optional=(
                "root_uuid",
                "efi_system_part_uuid",
                "prep_boot_part_uuid",
                "target_boot_mode",
                "ignore_bootloader_failure",
            ),
        )
    ]


def make_bootable(path: str, target_boot_mode: object, efivars: str = efi.EFIVARS) -> str:
    """Check the disk, and in UEFI mode put its loader first; a sentence about it.

    Raises BootloaderError.
    """
    has_firmware = os.path.isdir(efivars) and bool(os.listdir(efivars))
    if target_boot_mode == "bios" or (target_boot_mode is None and not has_firmware):
        return "a whole-disk image for BIOS mode brings its own boot loader; nothing to do"
    with BlockTarget(path) as disk:
        table = partitions.read_table(disk)
        part, loader = efi.find_loader(disk, table, platform.machine())
        where = _shown(part, loader)
        if has_firmware:
            entry = efi.add_boot_entry(part, table, loader, disk.sector, efivars)
            return f"{entry} is the firmware's first boot entry: {where}"
    if loader[:2] == ["EFI", "BOOT"]:
        return f"no boot entry (this ramdisk was not booted by UEFI); the firmware finds {where}"
    raise BootloaderError(
        f"{where} needs a firmware boot entry, which cannot be made: this ramdisk was not booted"
        " by UEFI"
    )


def _shown(part: partitions.Partition, loader: list[str]) -> str:
    return "\\" + "\\".join(loader) + f" on partition {part.number}"
