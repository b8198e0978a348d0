"""Erases disks: only what marks them as used (metadata), or every byte.

Overwrites through the block device. ATA secure erase and NVMe format are not
done in this version, and the result says so: an overwrite does not reach
sectors that a drive has taken out of use.
"""

from __future__ import annotations

import mmap
import os
import threading

from agent import partitions
from agent.blockdev import BlockTarget
from agent.console import say
from agent.errors import AgentError, DeviceError, DeviceNotFound, PartitionTableError
from agent.imagewriter import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.disks import Disk

#: Covers, from the start: partition tables, LVM, ext, xfs, btrfs, swap, ISO 9660 and ZFS
#: labels, md 1.1/1.2, and every place of LUKS2's second header (the last is at 4 MiB).
START_WIPE = (4 << 20) + (64 << 10)
#: Covers, from the end: backup GPT, md 0.90/1.0, firmware RAID and ZFS labels.
END_WIPE = 1 << 20
_BTRFS_COPIES = (64 << 20, 256 << 30)
_BTRFS_MAGIC = b"_BHRfS_M"
_CHUNK = 1 << 20
_SKIPPED = "is read-only and was skipped"


def erase_metadata(disk: Disk, *, skip_read_only: bool = False) -> str:
    """Wipe the disk's tables and signatures, its partitions' first; a sentence about it.

    Reads back what it wiped. Raises DeviceError.
    """
    try:
        target = BlockTarget(str(disk["name"]))
    except DeviceError as error:
        if skip_read_only and error.message.endswith("is read-only"):
            return f"{disk['name']} {_SKIPPED}"
        raise
    with target:
        regions = _regions(target)
        for offset, length in regions:
            target.zero(offset, length)
        target.flush()
        for offset, length in regions:
            _check_zero(target, offset, length)
        seen = target.reread_partitions()
    say(f"erase: metadata of {target.path} wiped ({len(regions)} regions)")
    note = "" if seen or not target.is_disk else " (the kernel kept its old partition list)"
    return f"metadata of {target.path} wiped in {len(regions)} regions{note}"


def _regions(target: BlockTarget) -> list[tuple[int, int]]:
    """Offset and length of everything to wipe; the whole disk's ends come last."""
    found: list[tuple[int, int]] = []
    try:
        parts = partitions.read_table(target).partitions
    except PartitionTableError:
        # Nothing to find inside: a blank disk, or a table that the wipe below destroys.
        parts = []
    for part in parts:
        found += _ends(target, part.start, part.size)
    backup = partitions.backup_header_offset(target)
    if backup is not None and 0 < backup < target.size:
        found.append((backup, target.sector))
    return found + _ends(target, 0, target.size)


def _ends(target: BlockTarget, start: int, size: int) -> list[tuple[int, int]]:
    sector = target.sector
    size = min(size, target.size - start) // sector * sector
    if size <= START_WIPE + END_WIPE:
        return [(start, size)] if size > 0 else []
    copies = [
        (start + at, 4096)
        for at in _BTRFS_COPIES
        if at + 4096 <= size and target.read(start + at + 64, 8) == _BTRFS_MAGIC
    ]
    return [(start, START_WIPE), *copies, (start + size - END_WIPE, END_WIPE)]


def _check_zero(target: BlockTarget, offset: int, length: int) -> None:
    if any(target.read(offset, length)):
        raise DeviceError(f"{target.path} still shows old data at byte {offset} after the wipe")


class EraseSwitches:
    """How to overwrite: ``passes`` of random data, then zeros if ``zeroize``."""

    def __init__(self, driver_internal_info: dict[str, object]) -> None:
        info = driver_internal_info
        self.passes = max(0, int(str(info.get("agent_erase_devices_iterations", 1))))
        self.zeroize = bool(info.get("agent_erase_devices_zeroize", True))
        self.skip_read_only = bool(info.get("agent_erase_skip_read_only", False))
        self.concurrency = max(1, int(str(info.get("disk_erasure_concurrency", 4))))


def erase_devices(disks: list[Disk], switches: EraseSwitches, progress: Progress) -> str:
    """Overwrite every disk wholly, some side by side; sentences about each. Raises DeviceError."""
    if not switches.passes and not switches.zeroize:
        raise DeviceError(
            "the erase switches ask for no random pass and no zeros: nothing would be erased"
        )
    rounds = switches.passes + switches.zeroize
    progress.total = sum(int(disk["size"]) for disk in disks) * rounds
    lock, results, errors = threading.Lock(), list[str](), list[AgentError]()
    waiting = list(reversed(disks))

    def advance(count: int) -> None:
        with lock:
            progress.done += count

    def work() -> None:
        while True:
            with lock:
                if not waiting or errors:
                    return
                disk = waiting.pop()
            try:
                text = _erase_device(str(disk["name"]), switches, advance)
            except AgentError as error:
                errors.append(error)
                return
            results.append(text)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(switches.concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return summary(results)


def summary(results: list[str]) -> str:
    """The sentences as one. Raises DeviceNotFound when none of them tells of an erased disk."""
    if all(result.endswith(_SKIPPED) for result in results):
        raise DeviceNotFound(f"nothing was erased: {'; '.join(results) or 'there is no disk'}")
    return "; ".join(results)


def _erase_device(path: str, switches: EraseSwitches, advance: Callable[[int], None]) -> str:
    try:
        target = BlockTarget(path)
    except DeviceError as error:
        if switches.skip_read_only and error.message.endswith("is read-only"):
            return f"{path} {_SKIPPED}"
        raise
    with target:
        for number in range(switches.passes):
            say(f"erase: {path}: pass {number + 1} of {switches.passes} with random data")
            _overwrite(target, advance)
        if switches.zeroize:
            say(f"erase: {path}: zeros")
            _zero_all(target, advance)
        target.flush()
        target.reread_partitions()
    ending = " and zeros" if switches.zeroize else ""
    return (
        f"{path} overwritten with {switches.passes} passes of random data{ending}"
        " (no ATA secure erase or NVMe format was tried)"
    )


def _overwrite(target: BlockTarget, advance: Callable[[int], None]) -> None:
    view = memoryview(mmap.mmap(-1, _CHUNK))
    for offset in range(0, target.size, _CHUNK):
        length = min(_CHUNK, target.size - offset)
        view[:length] = os.urandom(length)
        target.write(offset, view[:length])
        advance(length)


def _zero_all(target: BlockTarget, advance: Callable[[int], None]) -> None:
    step = 64 << 20
    for offset in range(0, target.size, step):
        length = min(step, target.size - offset)
        target.zero(offset, length)
        advance(length)
    target.flush()
    for offset in {0, target.size // 2 // 4096 * 4096, max(0, target.size - 4096)}:
        _check_zero(target, offset, 4096)
