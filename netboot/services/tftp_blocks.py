"""A file as TFTP blocks, each lying in one buffer behind its DATA header.

Content is read straight into the gaps between the headers, so a whole window of
blocks is one piece of memory that goes out in one system call (UDP_SEGMENT).
Knows nothing of sockets and clients.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import Protocol

from netboot.services.tftp_packet import DATA, HEADER

PIECE = 64 * 1024
MAX_VIEWS = 512  # below IOV_MAX (1024), and bounds the memory for small blocks

# The octets of the block numbers in their order, twice, so that a run may go over the end.
_HIGH = b"".join(bytes([high]) * 256 for high in range(256)) * 2
_LOW = bytes(range(256)) * 512


class Store(Protocol):
    """Bytes of a known size, from which views are filled."""

    def fill(self, views: list[memoryview], offset: int, *, wait: bool) -> int:
        """Fill the views with what is at ``offset``; returns the octets read.

        With ``wait`` false it returns what is at hand without waiting for a disk.
        Raises OSError when the disk fails.
        """

    def close(self) -> None: ...


class Memory:
    """A store that is a bytes object."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def fill(self, views: list[memoryview], offset: int, *, wait: bool) -> int:
        start = offset
        for view in views:
            piece = self._data[offset : offset + len(view)]
            view[: len(piece)] = piece
            offset += len(piece)
        return offset - start

    def close(self) -> None:
        self._data.release()


class File:
    """A store that is a file descriptor, which it owns."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._flags = os.RWF_NOWAIT

    def fill(self, views: list[memoryview], offset: int, *, wait: bool) -> int:
        if wait:
            return self._fill_whole(views, offset)
        try:
            return os.preadv(self._fd, views, offset, self._flags)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return 0
            if error.errno != errno.EOPNOTSUPP:
                raise
        if not _in_memory(os.fstat(self._fd).st_dev):
            return 0
        self._flags = 0
        return os.preadv(self._fd, views, offset)

    def _fill_whole(self, views: list[memoryview], offset: int) -> int:
        start = offset
        while views and (got := os.preadv(self._fd, views, offset)):
            offset += got
            views = _after(views, got)
        os.posix_fadvise(self._fd, offset, 4 * PIECE, os.POSIX_FADV_WILLNEED)
        return offset - start

    def close(self) -> None:
        os.close(self._fd)


@functools.lru_cache(maxsize=64)
def _in_memory(device: int) -> bool:
    """Whether a file system never waits for a disk, though it does not know RWF_NOWAIT."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            fields, _, kind = line.partition(" - ")
            if fields.split(" ", 3)[2] == number:
                return kind.split(" ", 1)[0] in ("tmpfs", "ramfs")
    return False


def _after(views: list[memoryview], done: int) -> list[memoryview]:
    """What is left of the views once ``done`` octets of them are filled."""
    for number, view in enumerate(views):
        if done < len(view):
            return [view[done:], *views[number + 1 :]]
        done -= len(view)
    return []


class Blocks:
    """The blocks 1 to ``last`` of a store; the last one is short, if need be empty."""

    def __init__(self, store: Store, size: int, blksize: int, window: int) -> None:
        self.size = size
        self.last = size // blksize + 1
        self.stride = blksize + HEADER.size
        self._store = store
        self._blksize = blksize
        blocks = min(PIECE // blksize, MAX_VIEWS)
        # Whole windows, so that nothing is read twice.
        self._capacity = min(self.last, max(window, blocks - blocks % window))
        self._buffer = memoryview(bytearray(self._capacity * self.stride))
        # The places for content between the headers; made once, used by every load.
        self._slots = [
            self._buffer[at + HEADER.size : at + self.stride]
            for at in range(0, len(self._buffer), self.stride)
        ]
        for at in range(0, len(self._buffer), self.stride):
            HEADER.pack_into(self._buffer, at, DATA, 0)
        # The places for the two octets of each block's number.
        self._high = self._buffer[HEADER.size - 2 :: self.stride]
        self._low = self._buffer[HEADER.size - 1 :: self.stride]
        self._first = 1
        self._held = 0
        self._filled = 0

    def window(self, first: int, count: int) -> memoryview | None:
        """The packets of ``count`` blocks from ``first`` on, one behind the other.

        None when the disk has to be waited for: call ``load`` in a thread, then ask
        again. The view is good until the next call. Raises OSError.
        """
        at = first - self._first
        if at < 0 or at + count > self._held:
            if not self._load(first, count, wait=False):
                return None
            at = 0
        stride = self.stride
        end = (at + count) * stride
        if end > self._filled:
            end = self._filled
        return self._buffer[at * stride : end]

    def load(self, first: int) -> None:
        """Read the blocks from ``first`` on, however long it takes; raises OSError."""
        self._load(first, self._capacity, wait=True)

    def close(self) -> None:
        self._buffer.release()
        self._store.close()

    def _load(self, first: int, needed: int, *, wait: bool) -> bool:
        """Fill the buffer from block ``first``; false if fewer than ``needed`` came."""
        offset = (first - 1) * self._blksize
        count = min(self._capacity, self.last - first + 1)
        length = min(count * self._blksize, self.size - offset)
        got = self._store.fill(self._slots_for(length), offset, wait=wait) if length else 0
        if got < length:
            if wait:
                raise OSError(errno.EIO, "the file became shorter while it was read")
            count = got // self._blksize
            if count < needed:
                return False
            got = count * self._blksize
        number = first & 0xFFFF
        self._high[:count] = _HIGH[number : number + count]
        self._low[:count] = _LOW[number : number + count]
        self._first, self._held = first, count
        self._filled = got + count * HEADER.size
        return True

    def _slots_for(self, length: int) -> list[memoryview]:
        """The slots for ``length`` octets, the last one cut to what is left for it."""
        whole, rest = divmod(length, self._blksize)
        slots = self._slots[:whole]
        if rest:
            slots.append(self._slots[whole][:rest])
        return slots


def to_netascii(data: bytes) -> bytes:
    """Text for mode netascii: LF becomes CR LF, CR becomes CR NUL (RFC 764, RFC 1350)."""
    return data.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
