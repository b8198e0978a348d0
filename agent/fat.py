"""Looks into a FAT file system for files with short names: enough to see boot loaders.

Reads FAT12, FAT16 and FAT32 directories (Microsoft FAT specification 1.03)
without mounting, so that the kernel never parses an image from outside and the
ramdisk needs no file system modules. Long names are not read and nothing is
written.
"""

from __future__ import annotations

import struct

from agent.blockdev import BlockTarget
from agent.errors import BootloaderError

_MAX_DIRECTORY = 4 << 20


class Fat:
    """The FAT file system at byte ``start`` of a disk. Raises BootloaderError if it is none."""

    def __init__(self, disk: BlockTarget, start: int) -> None:
        self._disk, self._start = disk, start
        boot = disk.read(start, 512)
        if len(boot) < 512 or boot[510:512] != b"\x55\xaa":
            raise BootloaderError(f"there is no FAT file system at byte {start} of {disk.path}")
        self._sector, self._per_cluster, reserved, fats, self._root_entries = struct.unpack(
            "<HBHBH", boot[11:19]
        )
        (small,) = struct.unpack("<H", boot[19:21])
        large, fat_size32 = struct.unpack("<II", boot[32:40])
        fat_size = struct.unpack("<H", boot[22:24])[0] or fat_size32
        if self._sector not in (512, 1024, 2048, 4096) or not self._per_cluster or not fat_size:
            raise BootloaderError(f"there is no FAT file system at byte {start} of {disk.path}")
        self._fat_at = start + reserved * self._sector
        self._root_at = self._fat_at + fats * fat_size * self._sector
        root_size = -(-self._root_entries * 32 // self._sector) * self._sector
        self._data_at = self._root_at + root_size
        sectors = (small or large) - (self._data_at - start) // self._sector
        clusters = sectors // self._per_cluster
        self._bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
        self._root_cluster = struct.unpack("<I", boot[44:48])[0]

    def exists(self, *path: str) -> bool:
        """Whether the file or directory is there, for example ``("EFI", "BOOT")``."""
        names = self._root()
        for depth, part in enumerate(path):
            found = names.get(part.upper())
            if found is None:
                return False
            if depth + 1 < len(path):
                names = _entries(self._chain(found))
        return True

    def names(self, *path: str) -> list[str]:
        """The short names in a directory; empty when it is not there."""
        names = self._root()
        for part in path:
            found = names.get(part.upper())
            if found is None:
                return []
            names = _entries(self._chain(found))
        return sorted(name for name in names if name not in (".", ".."))

    def _root(self) -> dict[str, int]:
        if self._bits == 32:
            return _entries(self._chain(self._root_cluster))
        return _entries(self._disk.read(self._root_at, self._root_entries * 32))

    def _chain(self, cluster: int) -> bytes:
        size, data = self._sector * self._per_cluster, bytearray()
        end = {12: 0xFF7, 16: 0xFFF7, 32: 0xFFFFFF7}[self._bits]
        # The length limit also ends a chain that runs in a ring.
        while 2 <= cluster < end and len(data) < _MAX_DIRECTORY:
            data += self._disk.read(self._data_at + (cluster - 2) * size, size)
            cluster = self._next(cluster)
        return bytes(data)

    def _next(self, cluster: int) -> int:
        if self._bits == 12:
            pair = self._disk.read(self._fat_at + cluster * 3 // 2, 2).ljust(2, b"\xff")
            value = int(struct.unpack("<H", pair)[0])
            return value >> 4 if cluster & 1 else value & 0xFFF
        width = self._bits // 8
        raw = self._disk.read(self._fat_at + cluster * width, width)
        return int.from_bytes(raw, "little") & 0x0FFFFFFF


def _entries(data: bytes) -> dict[str, int]:
    """``{short name in capitals: first cluster}`` of a directory's bytes."""
    found = {}
    for at in range(0, len(data) - 31, 32):
        raw = data[at : at + 32]
        if raw[0] == 0:
            break
        if raw[0] == 0xE5 or raw[11] & 0x08:
            continue
        name = raw[:8].decode("ascii", "replace").rstrip()
        extension = raw[8:11].decode("ascii", "replace").rstrip()
        high, low = struct.unpack("<H", raw[20:22])[0], struct.unpack("<H", raw[26:28])[0]
        found[f"{name}.{extension}" if extension else name] = high << 16 | low
    return found
