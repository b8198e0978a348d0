"""Streams an image onto a disk: read, hash and write side by side, then compare.

A reader (the caller's thread), a hasher and a writer pass a few reused,
page-aligned buffers round; SHA and disk run beside the network, and memory use
is fixed however large the image. Zero runs are not sent to the disk as data. The
result counts only after fsync and a matching digest.
"""

from __future__ import annotations

import hashlib
import mmap
import queue
import threading
from functools import partial

from agent.blockdev import BlockTarget
from agent.errors import (
    AgentError,
    DeviceError,
    ImageChecksumMismatch,
    ImageFormatUnsupported,
    ImageTooLarge,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from agent.checksums import Checksum

    class Source(Protocol):
        """What is read from: ``fill`` returns less than asked only at the end."""

        total: int | None

        def fill(self, view: memoryview) -> int: ...


BUFFER_SIZE = 1 << 20
BUFFER_COUNT = 8
#: How container formats begin; written as they are, a disk would hold them unread.
FOREIGN_MAGICS = (
    (b"QFI\xfb", "qcow2"),
    (b"KDMV", "vmdk"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vpc"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
)
_ZERO_GRAIN = 128 << 10
_END_WIPE = 1 << 20


class Progress:
    """Counters that another thread may read: bytes ``done`` of ``total`` (None if unknown)."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None
        self.step = ""
        self.message: str | None = None


class _Buffer:
    """Page-aligned memory. Not closed by hand: an error's traceback may still show a part."""

    def __init__(self) -> None:
        self.view = memoryview(mmap.mmap(-1, BUFFER_SIZE))
        self.length = 0
        self.offset = 0


_Queue = queue.SimpleQueue["_Buffer | None"]


class _Stage(threading.Thread):
    """Handles each buffer from one queue and passes it to the next; keeps its first error."""

    def __init__(self, name: str, taken: _Queue, passed: _Queue) -> None:
        super().__init__(name=name, daemon=True)
        self._taken, self._passed = taken, passed
        self.error: BaseException | None = None

    def handle(self, buffer: _Buffer) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Called once after the last buffer."""

    def run(self) -> None:
        while buffer := self._taken.get():
            self._guarded(partial(self.handle, buffer))
            self._passed.put(buffer)
        self._guarded(self.finish)
        self._passed.put(None)

    def _guarded(self, work: Callable[[], None]) -> None:
        # After an error the stage only passes buffers on, so that nobody waits for ever.
        if self.error is None:
            try:
                work()
            except BaseException as error:
                self.error = error


class _Hasher(_Stage):
    def __init__(self, taken: _Queue, passed: _Queue, algorithm: str) -> None:
        super().__init__("image-hasher", taken, passed)
        self.digest = hashlib.new(algorithm, usedforsecurity=False)

    def handle(self, buffer: _Buffer) -> None:
        self.digest.update(buffer.view[: buffer.length])


class _Writer(_Stage):
    def __init__(
        self, taken: _Queue, passed: _Queue, target: BlockTarget, progress: Progress
    ) -> None:
        super().__init__("image-writer", taken, passed)
        self._target, self._progress = target, progress
        self._zeros = bytearray(_ZERO_GRAIN)
        self._zero_from = self._zero_to = 0
        self.head: _Buffer | None = None

    def handle(self, buffer: _Buffer) -> None:
        if self._target.is_disk and buffer.offset + buffer.length > self._target.size:
            raise too_large(self._target, None)
        at = 0
        if buffer.offset == 0 and buffer.length == BUFFER_SIZE and self._target.is_disk:
            self._keep_head(buffer)
            at = buffer.length
        while at < buffer.length:
            zero, end = self._run(buffer, at)
            if zero:
                self._postpone(buffer.offset + at, buffer.offset + end)
            else:
                self._write_zeros()
                self._target.write(buffer.offset + at, buffer.view[at:end])
            at = end
        self._progress.done = buffer.offset + buffer.length

    def finish(self) -> None:
        self._write_zeros()

    def _keep_head(self, buffer: _Buffer) -> None:
        """Zeros instead of the disk's beginning, until the rest is written and verified.

        Without boot sector and partition table a disk does not boot, also when the
        power is cut in the middle.
        """
        self.head = _Buffer()
        self.head.length = buffer.length
        self.head.view[:] = buffer.view
        self._postpone(0, buffer.length)

    def _run(self, buffer: _Buffer, start: int) -> tuple[bool, int]:
        """Whether the grains from ``start`` are zeros, and where that ceases to be so."""
        zero, end = self._is_zero(buffer, start), start
        while end < buffer.length and (end == start or self._is_zero(buffer, end) == zero):
            end = min(end + _ZERO_GRAIN, buffer.length)
        return zero, end

    def _is_zero(self, buffer: _Buffer, at: int) -> bool:
        end = at + _ZERO_GRAIN
        # A partial last grain is written as data: zeroing works on whole sectors. The
        # bytearray must stand on the left, this comparison is a memcmp that way only.
        return end <= buffer.length and self._zeros == buffer.view[at:end]

    def _postpone(self, start: int, end: int) -> None:
        if self._zero_to != start:
            self._write_zeros()
            self._zero_from = start
        self._zero_to = end

    def _write_zeros(self) -> None:
        if self._zero_to > self._zero_from:
            self._target.zero(self._zero_from, self._zero_to - self._zero_from)
        self._zero_from = self._zero_to = 0


def too_large(target: BlockTarget, length: int | None) -> ImageTooLarge:
    """The error for an image that does not fit; ``length`` in bytes when it is known."""
    size = f"of {length} bytes " if length is not None else ""
    return ImageTooLarge(f"the image {size}does not fit {target.path} of {target.size} bytes")


def write_image(source: Source, target: BlockTarget, checksum: Checksum, progress: Progress) -> int:
    """Write the whole image, verify it, and return its length in bytes.

    Raises ImageTooLarge (before writing when the size is known),
    ImageChecksumMismatch, ImageDownloadFailed, DeviceError. The disk's beginning is
    zero until all else is written and verified: a disk must not boot half an image,
    or one that is not the one asked for, whatever ends the writing.
    """
    if target.is_disk and source.total is not None and source.total > target.size:
        raise too_large(target, source.total)
    progress.total = source.total
    try:
        if target.is_disk:
            # The backup table of a former system would outlive an image smaller than the disk.
            wiped = min(_END_WIPE, target.size)
            target.zero(target.size - wiped, wiped)
        length, digest, head = _pump(source, target, checksum.algorithm, progress)
        if digest != checksum.digest:
            raise ImageChecksumMismatch(
                f"the image's {checksum.algorithm} is {digest}, expected {checksum.digest}"
            )
        if head is not None:
            target.write(0, head.view)
            target.flush()
    except AgentError:
        if progress.done:
            _make_unbootable(target)
        raise
    return length


def _pump(
    source: Source, target: BlockTarget, algorithm: str, progress: Progress
) -> tuple[int, str, _Buffer | None]:
    free: _Queue = queue.SimpleQueue()
    to_hash: _Queue = queue.SimpleQueue()
    to_write: _Queue = queue.SimpleQueue()
    buffers = [_Buffer() for _ in range(BUFFER_COUNT)]
    for buffer in buffers:
        free.put(buffer)
    hasher = _Hasher(to_hash, to_write, algorithm)
    writer = _Writer(to_write, free, target, progress)
    hasher.start()
    writer.start()
    try:
        length = _read_all(source, free, to_hash, (hasher, writer))
    finally:
        to_hash.put(None)
        hasher.join()
        writer.join()
    _raise_first_error((hasher, writer))
    progress.message = "waiting for the disk"
    target.flush()
    return length, hasher.digest.hexdigest(), writer.head


def _read_all(source: Source, free: _Queue, to_hash: _Queue, stages: tuple[_Stage, ...]) -> int:
    offset = 0
    while True:
        buffer = free.get()
        _raise_first_error(stages)
        if buffer is None:
            raise DeviceError("the writing of the image ended by itself")
        buffer.offset, buffer.length = offset, source.fill(buffer.view)
        if offset == 0:
            _check_is_raw(buffer.view[: buffer.length])
        offset += buffer.length
        if buffer.length:
            to_hash.put(buffer)
        if buffer.length < BUFFER_SIZE:
            return offset


def _check_is_raw(head: memoryview) -> None:
    for magic, name in FOREIGN_MAGICS:
        if head[: len(magic)] == magic:
            raise ImageFormatUnsupported(
                f"the image is announced as raw, but its content begins like {name}"
            )


def _raise_first_error(stages: tuple[_Stage, ...]) -> None:
    for stage in stages:
        if stage.error is not None:
            raise stage.error


def _make_unbootable(target: BlockTarget) -> None:
    try:
        if target.is_disk:
            target.zero(0, min(_END_WIPE, target.size))
            target.flush()
    except DeviceError:
        # The disk is failing; the first error is the one worth reporting.
        pass
