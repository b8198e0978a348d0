"""Decompression that cannot be made to fill memory or disk: gzip, xz, lzma, bzip2, zstd, none.

Which one it is, is seen by the first bytes. Every byte that comes out is counted.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from netboot.archives.member import BadArchive, Limits, Readable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK = 1 << 16
_MEMORY = 256 << 20
_LOG_OF_LARGEST_WINDOW = 27
_FREE = 1 << 20
"""So much may come out of anything, whatever the ratio."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


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

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _zstd() -> _Decoder:
    largest: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _LOG_OF_LARGEST_WINDOW}
    return zstd.ZstdDecompressor(options=largest)


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(memlimit=_MEMORY)


_DECODERS: dict[bytes, tuple[str, Callable[[], _Decoder] | None]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"\xfd7zXZ\x00": ("xz", _xz),
    b"\x5d\x00\x00": ("lzma", _xz),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
}
_FAILURES = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError)


class Inflated:
    """What comes out of ``packed``, which may be several compressed streams in a row."""

    def __init__(self, packed: Readable, limits: Limits) -> None:
        self._packed = packed
        self._limits = limits
        self._in = self._out = 0
        self._rest = b""
        while len(self._rest) < 6 and (block := self._more()):
            self._rest += block
        found = (kind for magic, kind in _DECODERS.items() if self._rest.startswith(magic))
        self._format, self._begin = next(found, ("none", None))
        self._decoder = self._begin() if self._begin else None

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end. Raises BadArchive."""
        while size:
            if self._begin is None:
                here = self._rest or self._more()
                self._rest = here[size:]
                return self._counted(here[:size])
            if self._decoder is None or (self._decoder.eof and not self._next_stream()):
                self._decoder = None
                return b""
            if block := self._step(min(size, _BLOCK)):
                return self._counted(block)
        return b""

    def _step(self, size: int) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        data, self._rest = self._rest, b""
        if decoder.needs_input and not data and not (data := self._more()):
            raise BadArchive(f"its {self._format} stream is cut off")
        try:
            return decoder.decompress(data, size)
        except _FAILURES as error:
            raise BadArchive(f"its {self._format} stream is damaged ({error})") from None

    def _next_stream(self) -> bool:
        """Begin what follows a finished stream; zeros behind it are padding."""
        assert self._decoder is not None
        assert self._begin is not None
        rest = self._decoder.unused_data.lstrip(b"\0")
        while not rest:
            if not (block := self._more()):
                return False
            rest = block.lstrip(b"\0")
        self._rest = rest
        self._decoder = self._begin()
        return True

    def _more(self) -> bytes:
        block = self._packed.read(_BLOCK)
        self._in += len(block)
        if self._in > self._limits.packed:
            raise BadArchive(f"it is larger than {self._limits.packed} bytes")
        return block

    def _counted(self, block: bytes) -> bytes:
        self._out += len(block)
        if self._out > self._limits.unpacked:
            raise BadArchive(f"it unpacks to more than {self._limits.unpacked} bytes")
        if self._out > _FREE + self._limits.ratio * self._in:
            raise BadArchive(f"it unpacks to more than {self._limits.ratio} times its size")
        return block
