"""gzip, xz, lzma, bzip2 and zstd with one manner: pieces of bounded size, a known end.

All use bounded memory, and say which bytes behind the end of a stream are not theirs.
Which format some bytes are, and how much may come out of them, is for those who read them.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MEMORY = 256 << 20
_LOG_OF_LARGEST_WINDOW = 27
"""What a kernel's decompressor takes at most; more is an attack on memory."""

DAMAGED = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError, MemoryError)
"""What decoders raise for data that are damaged, or ask for more memory than they may have."""


class Decoder(Protocol):
    """One stream. ``eof`` and ``unused_data``: where it ended; nothing can be decoded then."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Encoder(Protocol):
    """One stream that is being made."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Gzip:
    """zlib's decoder with the manners of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def gzip_decoder() -> Decoder:
    return _Gzip()


def xz_decoder() -> Decoder:
    """For xz, and for lzma, its predecessor."""
    return lzma.LZMADecompressor(memlimit=_MEMORY)


def bzip2_decoder() -> Decoder:
    return bz2.BZ2Decompressor()


def zstd_decoder() -> Decoder:
    largest: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LOG_OF_LARGEST_WINDOW}
    return zstd.ZstdDecompressor(options=largest)


def gzip_encoder() -> Encoder:
    """Says nothing of when it was made."""
    return zlib.compressobj(6, zlib.DEFLATED, 31)


def xz_encoder() -> Encoder:
    # Of the checksums of xz, the kernel knows only this one.
    return lzma.LZMACompressor(lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=6)


def zstd_encoder() -> Encoder:
    parameter = zstd.CompressionParameter
    chosen: dict[int, int] = {parameter.compression_level: 15, parameter.checksum_flag: 1}
    return zstd.ZstdCompressor(options=chosen)
