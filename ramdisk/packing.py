"""Compression of ramdisks as the kernel knows it: gzip, xz, zstd and none.

Reads in pieces of bounded size, whatever the data promises, and finds out where in a
file the compressed data end, because more may come behind it.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import zstandard

from drophammer.errors import Invalid, Unsupported

NONE, GZIP, XZ, ZSTD = "none", "gzip", "xz", "zstd"
KINDS = (GZIP, XZ, ZSTD, NONE)

_MAGIC = {
    b"070701": NONE,
    b"070702": NONE,
    b"\x1f\x8b": GZIP,
    b"\xfd7zXZ\0": XZ,
    b"\x28\xb5\x2f\xfd": ZSTD,
}
_UNREADABLE = {
    b"070707": "a cpio archive in the old format; the kernel reads newc (cpio -H newc)",
    b"\xc7\x71": "a cpio archive in the old binary format; the kernel reads newc (cpio -H newc)",
    b"BZh": "packed with bzip2, which is not supported; gzip, xz and zstd are",
    b"\x5d\0\0": "packed with lzma, which is not supported; gzip, xz and zstd are",
    b"\x02\x21\x4c\x18": "packed with lz4, which is not supported; gzip, xz and zstd are",
    b"\x89LZO": "packed with lzo, which is not supported; gzip, xz and zstd are",
}
_READ = 1 << 16
_PIECE = 1 << 20
#: What a kernel's decompressor takes at most; more is an attack on memory.
_LARGEST_WINDOW = 1 << 27


def kind_at(file: BinaryIO, offset: int) -> str:
    """What begins at ``offset``. Raises Invalid or Unsupported."""
    file.seek(offset)
    begin = file.read(6)
    for magic, kind in _MAGIC.items():
        if begin.startswith(magic):
            return kind
    for magic, what in _UNREADABLE.items():
        if begin.startswith(magic):
            raise Unsupported(f"At byte {offset} begins {what}.")
    raise Invalid(
        f"At byte {offset} there is neither a cpio archive nor one packed with gzip, xz or zstd, "
        f"but {begin!r}."
    )


class Packed:
    """The data that begin at ``offset``. ``end`` is known when ``pieces`` are through."""

    def __init__(self, file: BinaryIO, offset: int, kind: str) -> None:
        self.kind = kind
        self.end = offset
        self._file = file
        self._offset = offset

    def pieces(self) -> Iterator[bytes]:
        """The content, unpacked, in pieces. Raises Invalid for data that are damaged or cut."""
        self._file.seek(self._offset)
        try:
            yield from {NONE: self._plain, GZIP: self._gzip, XZ: self._xz, ZSTD: self._zstd}[
                self.kind
            ]()
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError, MemoryError) as error:
            raise Invalid(
                f"The {self.kind} data that begin at byte {self._offset} are damaged: {error}."
            ) from None

    def _plain(self) -> Iterator[bytes]:
        while piece := self._file.read(_READ):
            yield piece

    def _gzip(self) -> Iterator[bytes]:
        engine = zlib.decompressobj(wbits=31)
        return self._run(engine, lambda: engine.unconsumed_tail or self._file.read(_READ))

    def _xz(self) -> Iterator[bytes]:
        engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * _LARGEST_WINDOW)
        return self._run(engine, lambda: self._file.read(_READ) if engine.needs_input else b"")

    def _run(self, engine: _Engine, more: Callable[[], bytes]) -> Iterator[bytes]:
        while not engine.eof:
            data = more()
            piece = engine.decompress(data, _PIECE)
            if piece:
                yield piece
            elif not data and not engine.eof:
                raise self._cut()
        self.end = self._file.tell() - len(engine.unused_data)

    def _zstd(self) -> Iterator[bytes]:
        self.end = self._end_of_frame()
        self._file.seek(self._offset)
        engine = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        part = _Section(self._file, self.end - self._offset)
        reader = engine.stream_reader(part, read_size=_READ)  # type: ignore[arg-type]
        while piece := reader.read(_PIECE):
            yield piece

    def _end_of_frame(self) -> int:
        """Where the frame ends (RFC 8878, 3.1.1): its blocks say how long they are."""
        describes = self._exactly(5)[4]
        single, dictionary = bool(describes & 0x20), (0, 1, 2, 4)[describes & 3]
        size = (1 if single else 0, 2, 4, 8)[describes >> 6]
        self._exactly((0 if single else 1) + dictionary + size)
        last = 0
        while not last:
            block = int.from_bytes(self._exactly(3), "little")
            last, sort, length = block & 1, (block >> 1) & 3, block >> 3
            # A block of one repeated byte holds that byte only.
            self._exactly(1 if sort == 1 else length)
        self._exactly(4 if describes & 4 else 0)
        return self._file.tell()

    def _exactly(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) < length:
            raise self._cut()
        return data

    def _cut(self) -> Invalid:
        return Invalid(
            f"The {self.kind} data that begin at byte {self._offset} end in the middle; "
            "the file was cut off."
        )


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Section:
    """So many bytes of a file, from where it stands."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class Packer:
    """Writes what it is given to ``out``, packed as ``kind``; the same data give the same bytes."""

    def __init__(self, out: BinaryIO, kind: str) -> None:
        self._out = out
        self._engine = _compressor(kind)
        self.taken = 0

    def write(self, data: bytes) -> None:
        self.taken += len(data)
        self._out.write(self._engine.compress(data) if self._engine else data)

    def finish(self) -> None:
        """Write what is held back; nothing can follow."""
        if self._engine:
            self._out.write(self._engine.flush())


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _compressor(kind: str) -> _Compressor | None:
    if kind == GZIP:
        return zlib.compressobj(6, zlib.DEFLATED, 31)
    if kind == XZ:
        # Of the checksums of xz, the kernel knows only this one.
        return lzma.LZMACompressor(lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=6)
    if kind == ZSTD:
        return zstandard.ZstdCompressor(level=15, write_checksum=True).compressobj()
    if kind == NONE:
        return None
    raise Invalid(f"Compression {kind!r} is not one of {', '.join(KINDS)}.")
