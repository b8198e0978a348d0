"""Decompression that cannot be made to fill memory or disk: gzip, xz, lzma, bzip2, zstd, none.

Which one it is, is seen by the first bytes. Every byte that comes out is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from drophammer import compression
from drophammer.compression import Decoder
from netboot.archives.member import BadArchive, Limits, Readable

_BLOCK = 1 << 16
_FREE = 1 << 20
"""So much may come out of anything, whatever the ratio."""


_DECODERS: dict[bytes, tuple[str, Callable[[], Decoder] | None]] = {
    b"\x1f\x8b": ("gzip", compression.gzip_decoder),
    b"\xfd7zXZ\x00": ("xz", compression.xz_decoder),
    b"\x5d\x00\x00": ("lzma", compression.xz_decoder),
    b"\x28\xb5\x2f\xfd": ("zstd", compression.zstd_decoder),
    b"BZh": ("bzip2", compression.bzip2_decoder),
}


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
        except compression.DAMAGED as error:
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
