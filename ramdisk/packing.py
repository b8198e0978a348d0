"""Compression of ramdisks as the kernel knows it: gzip, xz, zstd and none.

Reads in pieces of bounded size, whatever the data promises, and finds out where in a
file the compressed data end, because more may come behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from drophammer import compression
from drophammer.compression import Decoder, Encoder
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
_DECODERS = {
    GZIP: compression.gzip_decoder,
    XZ: compression.xz_decoder,
    ZSTD: compression.zstd_decoder,
}
_ENCODERS = {
    GZIP: compression.gzip_encoder,
    XZ: compression.xz_encoder,
    ZSTD: compression.zstd_encoder,
}


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
        if self.kind == NONE:
            while piece := self._file.read(_READ):
                yield piece
            return
        decoder = _DECODERS[self.kind]()
        while not decoder.eof:
            if piece := self._step(decoder):
                yield piece
        self.end = self._file.tell() - len(decoder.unused_data)

    def _step(self, decoder: Decoder) -> bytes:
        data = b""
        if decoder.needs_input and not (data := self._file.read(_READ)):
            raise self._cut()
        try:
            return decoder.decompress(data, _PIECE)
        except compression.DAMAGED as error:
            raise Invalid(
                f"The {self.kind} data that begin at byte {self._offset} are damaged: {error}."
            ) from None

    def _cut(self) -> Invalid:
        return Invalid(
            f"The {self.kind} data that begin at byte {self._offset} end in the middle; "
            "the file was cut off."
        )


class Packer:
    """Writes what it is given to ``out``, packed as ``kind``; the same data give the same bytes."""

    def __init__(self, out: BinaryIO, kind: str) -> None:
        self._out = out
        self._encoder = _encoder(kind)
        self.taken = 0

    def write(self, data: bytes) -> None:
        self.taken += len(data)
        self._out.write(self._encoder.compress(data) if self._encoder else data)

    def finish(self) -> None:
        """Write what is held back; nothing can follow."""
        if self._encoder:
            self._out.write(self._encoder.flush())


def _encoder(kind: str) -> Encoder | None:
    if kind == NONE:
        return None
    if kind not in _ENCODERS:
        raise Invalid(f"Compression {kind!r} is not one of {', '.join(KINDS)}.")
    return _ENCODERS[kind]()
