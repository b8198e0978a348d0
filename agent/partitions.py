"""Reads and edits partition tables: GPT (UEFI 2.10 section 5.3) and MBR.

Done here with ``struct`` and not by a partitioning program, because three small
edits are all that is needed (where are the partitions, move the backup GPT to
the disk's end, add one entry), and it keeps the ramdisk small and the errors
ours. Nothing here creates a table from nothing. Offsets and sizes are bytes.
"""

from __future__ import annotations

import os
import struct
import zlib

from agent.blockdev import BlockTarget
from agent.errors import PartitionTableError

LINUX_DATA = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
EFI_SYSTEM = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
_MIB = 1 << 20
_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_EXTENDED = (0x05, 0x0F, 0x85)


class Partition:
    """One partition: ``number`` from 1, ``start`` and ``size`` in bytes, GPT names and ids."""

    def __init__(
        self, number: int, start: int, size: int, *, kind: str, name: str = "", uuid: str = ""
    ) -> None:
        self.number, self.start, self.size = number, start, size
        self.kind, self.name, self.uuid = kind, name, uuid

    @property
    def is_efi_system(self) -> bool:
        """Whether its type says EFI system partition."""
        return self.kind in (guid_text(EFI_SYSTEM), "0xef")


class Table:
    """What a disk's partition table says: ``kind`` "gpt" or "mbr", id, partitions."""

    def __init__(self, kind: str, disk_id: str, partitions: list[Partition]) -> None:
        self.kind, self.disk_id, self.partitions = kind, disk_id, partitions


def guid_text(raw: bytes) -> str:
    """The usual text of a GUID stored in its mixed-endian form."""
    a, b, c = struct.unpack("<IHH", raw[:8])
    return f"{a:08x}-{b:04x}-{c:04x}-{raw[8:10].hex()}-{raw[10:16].hex()}"


def read_table(disk: BlockTarget) -> Table:
    """The disk's table. Raises PartitionTableError when there is none, or it is damaged."""
    sector0 = disk.read(0, 512)
    if len(sector0) < 512 or sector0[510:512] != b"\x55\xaa":
        raise PartitionTableError(f"{disk.path} has no partition table")
    mbr = _mbr_entries(sector0)
    if any(kind == 0xEE for _, kind, _, _ in mbr):
        return _Gpt(disk).table()
    if sector0[54:59] in (b"FAT12", b"FAT16") or sector0[82:87] == b"FAT32":
        raise PartitionTableError(f"{disk.path} holds a file system and no partition table")
    partitions = [
        Partition(number, start * disk.sector, size * disk.sector, kind=f"0x{kind:02x}")
        for number, kind, start, size in mbr
    ]
    _check_inside(disk, partitions)
    partitions += _logical_partitions(disk, mbr)
    disk_id = f"0x{struct.unpack('<I', sector0[440:444])[0]:08x}"
    return Table("mbr", disk_id, partitions)


def backup_header_offset(disk: BlockTarget) -> int | None:
    """Where the primary GPT header says that its backup is; None without a sound header."""
    try:
        return int(_Gpt(disk).alternate) * disk.sector
    except PartitionTableError:
        return None


def add_at_end(disk: BlockTarget, size: int, name: str) -> Partition:
    """Add a partition of at least ``size`` bytes at the end of the disk and return it.

    A GPT is first stretched to the disk's end. The start is a whole MiB. Raises
    PartitionTableError when the table is full or there is no room.
    """
    table = read_table(disk)
    last_end = max((part.start + part.size for part in table.partitions), default=_MIB)
    if table.kind == "gpt":
        return _Gpt(disk).add(size, last_end, name)
    return _add_to_mbr(disk, table, size, last_end)


def _place(disk: BlockTarget, size: int, end: int, last_end: int) -> tuple[int, int]:
    """Start and size of the last MiB-aligned range before ``end`` that holds ``size``."""
    start = (end - size) // _MIB * _MIB
    if start < last_end or start < _MIB:
        raise PartitionTableError(
            f"{disk.path} has no room for {size} bytes between its last partition, which ends"
            f" at {last_end}, and its end at {end}"
        )
    return start, end - start


def _check_inside(disk: BlockTarget, partitions: list[Partition]) -> None:
    for part in partitions:
        if part.start + part.size > disk.size:
            raise PartitionTableError(
                f"partition {part.number} of {disk.path} ends beyond the disk"
            )


# MBR


def _mbr_entries(sector0: bytes) -> list[tuple[int, int, int, int]]:
    """(number, type, first sector, sectors) of the used primary entries."""
    found = []
    for index in range(4):
        raw = sector0[446 + 16 * index : 462 + 16 * index]
        _, _, kind, _, start, size = _MBR_ENTRY.unpack(raw)
        if kind and size:
            found.append((index + 1, kind, start, size))
    return found


def _logical_partitions(disk: BlockTarget, mbr: list[tuple[int, int, int, int]]) -> list[Partition]:
    found: list[Partition] = []
    for _, kind, base, _ in mbr:
        if kind not in _EXTENDED:
            continue
        link = base
        # The chain of extended boot records is data from outside: it may be a ring.
        for _ in range(128):
            record = disk.read(link * disk.sector, 512)
            if len(record) < 512 or record[510:512] != b"\x55\xaa":
                break
            entries = _mbr_entries(record)
            found += [
                Partition(
                    5 + len(found),
                    (link + start) * disk.sector,
                    size * disk.sector,
                    kind=f"0x{logical:02x}",
                )
                for number, logical, start, size in entries
                if number == 1 and (link + start + size) * disk.sector <= disk.size
            ]
            following = [s for number, k, s, _ in entries if number == 2 and k in _EXTENDED]
            if not following:
                break
            link = base + following[0]
    return found


def _add_to_mbr(disk: BlockTarget, table: Table, size: int, last_end: int) -> Partition:
    used = {part.number for part in table.partitions}
    free = [number for number in range(1, 5) if number not in used]
    if not free:
        raise PartitionTableError(f"{disk.path} already has four primary partitions")
    # MBR entries count sectors in 32 bits.
    end = min(disk.size // _MIB * _MIB, (1 << 32) * disk.sector - _MIB)
    start, size = _place(disk, size, end, last_end)
    entry = _MBR_ENTRY.pack(
        0, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", start // disk.sector, size // disk.sector
    )
    sector0 = bytearray(disk.read(0, disk.sector))
    at = 446 + 16 * (free[0] - 1)
    sector0[at : at + 16] = entry
    disk.write(0, bytes(sector0))
    return Partition(free[0], start, size, kind="0x83")


# GPT


class _Gpt:
    """The primary GPT of a disk, checked."""

    def __init__(self, disk: BlockTarget) -> None:
        self.disk = disk
        raw = disk.read(disk.sector, disk.sector)
        if raw[:8] != b"EFI PART":
            raise PartitionTableError(
                f"{disk.path} has no GPT header in its second sector (sectors are"
                f" {disk.sector} bytes here; the image may be made for another size)"
            )
        fields = _HEADER.unpack(raw[: _HEADER.size])
        self.size, crc = fields[2], fields[3]
        self.alternate, self.first_usable, self.last_usable = fields[6], fields[7], fields[8]
        self.disk_guid, self.entries_lba, self.count, self.entry_size = fields[9:13]
        self._check(raw, crc, fields[13])

    def _check(self, raw: bytes, crc: int, entries_crc: int) -> None:
        path = self.disk.path
        if not _HEADER.size <= self.size <= self.disk.sector or not 0 < self.count <= 1024:
            raise PartitionTableError(f"the GPT header of {path} has impossible sizes")
        if self.entry_size not in (128, 256, 512):
            raise PartitionTableError(f"the GPT of {path} has entries of {self.entry_size} bytes")
        if zlib.crc32(raw[:16] + bytes(4) + raw[20 : self.size]) != crc:
            raise PartitionTableError(f"the GPT header of {path} fails its checksum")
        self._tail = raw[_HEADER.size : self.size]
        self.entries = bytearray(
            self.disk.read(self.entries_lba * self.disk.sector, self.count * self.entry_size)
        )
        if zlib.crc32(self.entries) != entries_crc:
            raise PartitionTableError(f"the GPT entries of {path} fail their checksum")

    def table(self) -> Table:
        partitions = []
        for index in range(self.count):
            raw = self._entry(index)
            if not any(raw[:16]):
                continue
            kind, unique, first, last, _, name = _ENTRY.unpack(raw[:128])
            partitions.append(
                Partition(
                    index + 1,
                    first * self.disk.sector,
                    (last - first + 1) * self.disk.sector,
                    kind=guid_text(kind),
                    name=name.decode("utf-16-le", "replace").partition("\0")[0],
                    uuid=guid_text(unique),
                )
            )
        _check_inside(self.disk, partitions)
        return Table("gpt", guid_text(self.disk_guid), partitions)

    def add(self, size: int, last_end: int, name: str) -> Partition:
        free = [index for index in range(self.count) if not any(self._entry(index)[:16])]
        if not free:
            raise PartitionTableError(f"the GPT of {self.disk.path} has no free entry")
        sector = self.disk.sector
        end = (self._stretched_last_usable() + 1) * sector // _MIB * _MIB
        start, size = _place(self.disk, size, end, last_end)
        unique = _random_guid()
        entry = _ENTRY.pack(
            LINUX_DATA,
            unique,
            start // sector,
            (start + size) // sector - 1,
            0,
            name.encode("utf-16-le"),
        )
        at = free[0] * self.entry_size
        self.entries[at : at + len(entry)] = entry
        self._write()
        return Partition(
            free[0] + 1,
            start,
            size,
            kind=guid_text(LINUX_DATA),
            name=name,
            uuid=guid_text(unique),
        )

    def _entry(self, index: int) -> bytes:
        return bytes(self.entries[index * self.entry_size : (index + 1) * self.entry_size])

    def _entry_sectors(self) -> int:
        return int(-(-self.count * self.entry_size // self.disk.sector))

    def _stretched_last_usable(self) -> int:
        return int(self.disk.size // self.disk.sector) - 2 - self._entry_sectors()

    def _write(self) -> None:
        """Write backup, then primary: one of the two is whole at every moment."""
        sector = self.disk.sector
        last = self.disk.size // sector - 1
        old = self.alternate
        self.last_usable, self.alternate = self._stretched_last_usable(), last
        backup_entries = last - self._entry_sectors()
        self.disk.write(backup_entries * sector, bytes(self.entries))
        self.disk.write(last * sector, self._header(last, 1, backup_entries))
        self.disk.write(self.entries_lba * sector, bytes(self.entries))
        self.disk.write(sector, self._header(1, last, self.entries_lba))
        if old < backup_entries and self.disk.read(old * sector, 8) == b"EFI PART":
            # A second backup in the middle of the disk would mislead repair programs.
            self.disk.write(old * sector, bytes(sector))
        self._stretch_protective_mbr(last)

    def _header(self, here: int, other: int, entries_lba: int) -> bytes:
        def packed(crc: int) -> bytes:
            head = _HEADER.pack(
                b"EFI PART",
                b"\0\0\1\0",
                self.size,
                crc,
                0,
                here,
                other,
                self.first_usable,
                self.last_usable,
                self.disk_guid,
                entries_lba,
                self.count,
                self.entry_size,
                zlib.crc32(self.entries),
            )
            return head + self._tail

        whole = packed(zlib.crc32(packed(0)))
        return whole + bytes(self.disk.sector - len(whole))

    def _stretch_protective_mbr(self, last: int) -> None:
        sector0 = bytearray(self.disk.read(0, self.disk.sector))
        for index in range(4):
            at = 446 + 16 * index
            # Only a purely protective entry: a hybrid MBR's sizes are its maker's.
            if sector0[at + 4] == 0xEE and sector0[at + 8 : at + 12] == b"\1\0\0\0":
                sector0[at + 12 : at + 16] = struct.pack("<I", min(last, 0xFFFFFFFF))
        self.disk.write(0, bytes(sector0))


def _random_guid() -> bytes:
    raw = bytearray(os.urandom(16))
    raw[7] = raw[7] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)
