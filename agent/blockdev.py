"""A disk to be written: O_DIRECT where it is aligned, the page cache where it is not.

Also takes a plain file, which is how images are written for tests and
measurements. Knows ioctls (linux/fs.h), not partition tables or images.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

from agent.errors import DeviceError, ImageTooLarge

BLKROGET = 0x125E
BLKRRPART = 0x125F
BLKFLSBUF = 0x1261
BLKSSZGET = 0x1268
BLKZEROOUT = 0x127F
BLKGETSIZE64 = 0x80081272
_PUNCH_HOLE_KEEP_SIZE = 0x3
_ZERO_STEP = 64 << 20
_ZEROS = bytes(1 << 20)


class BlockTarget:
    """An open disk (or plain file). Sizes and offsets are bytes. Close it.

    Raises DeviceError when it does not exist, is read-only or in use.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._direct = -1
        try:
            self.is_disk = stat.S_ISBLK(os.stat(path).st_mode)
            # O_EXCL on a block device is refused while something on it is mounted.
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_EXCL if self.is_disk else 0)
            self._buffered = os.open(path, flags)
        except OSError as error:
            raise DeviceError(f"{path} cannot be opened for writing: {error.strerror}") from error
        try:
            self._measure()
            self._direct = _open_direct(path)
        except BaseException:
            self.close()
            raise

    def _measure(self) -> None:
        if not self.is_disk:
            self.size, self.sector = os.fstat(self._buffered).st_size, 512
            return
        if struct.unpack("i", fcntl.ioctl(self._buffered, BLKROGET, b"\0" * 4))[0]:
            raise DeviceError(f"{self.path} is read-only")
        self.size = struct.unpack("Q", fcntl.ioctl(self._buffered, BLKGETSIZE64, b"\0" * 8))[0]
        self.sector = struct.unpack("i", fcntl.ioctl(self._buffered, BLKSSZGET, b"\0" * 4))[0]

    def __enter__(self) -> BlockTarget:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close without syncing; ``flush`` does that."""
        for fd in (self._buffered, self._direct):
            if fd >= 0:
                os.close(fd)
        self._buffered = self._direct = -1

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes; fewer at the end of the disk."""
        try:
            return os.pread(self._buffered, length, offset)
        except OSError as error:
            raise self._failed("read", offset, error) from error

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of ``data``; page-aligned memory goes past the page cache.

        Raises ImageTooLarge beyond the end of a disk and DeviceError otherwise.
        """
        self._check_room(offset, len(data))
        aligned = offset % 4096 == 0 and len(data) % 4096 == 0 and isinstance(data, memoryview)
        fd = self._direct if aligned and self._direct >= 0 else self._buffered
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(fd, view, offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise self._failed("written", offset, error) from error

    def zero(self, offset: int, length: int) -> None:
        """Make a range read as zeros, by the cheapest way the disk has."""
        self._check_room(offset, length)
        end = offset + length
        while offset < end:
            step = min(_ZERO_STEP, end - offset)
            self._zero_step(offset, step)
            offset += step

    def _zero_step(self, offset: int, length: int) -> None:
        whole = offset % self.sector == 0 and length % self.sector == 0
        if self.is_disk and whole:
            try:
                fcntl.ioctl(self._buffered, BLKZEROOUT, struct.pack("QQ", offset, length))
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY):
                    raise self._failed("zeroed", offset, error) from error
        elif not self.is_disk and _punch_hole(self._buffered, offset, length):
            if offset + length > os.fstat(self._buffered).st_size:
                os.ftruncate(self._buffered, offset + length)
            return
        for start in range(0, length, len(_ZEROS)):
            self.write(offset + start, _ZEROS[: length - start])

    def flush(self) -> None:
        """Wait until everything is on stable storage, and forget cached content."""
        try:
            os.fsync(self._buffered)
            if self.is_disk:
                fcntl.ioctl(self._buffered, BLKFLSBUF)
        except OSError as error:
            raise self._failed("flushed", 0, error) from error

    def reread_partitions(self) -> bool:
        """Let the kernel look at the partition table anew; False when it does not."""
        if not self.is_disk:
            return False
        try:
            fcntl.ioctl(self._buffered, BLKRRPART)
        except OSError:
            return False
        return True

    def _check_room(self, offset: int, length: int) -> None:
        if self.is_disk and offset + length > self.size:
            raise ImageTooLarge(
                f"{self.path} ends at {self.size} bytes; {length} bytes at {offset} do not fit"
            )

    def _failed(self, what: str, offset: int, error: OSError) -> DeviceError:
        return DeviceError(f"{self.path} cannot be {what} at byte {offset}: {error.strerror}")


def _open_direct(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_DIRECT)
    except OSError:
        # Some file systems have no O_DIRECT; the page cache is slower, not wrong.
        return -1


def _punch_hole(fd: int, offset: int, length: int) -> bool:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_int64(offset), ctypes.c_int64(length))
    return int(libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, *arguments)) == 0
