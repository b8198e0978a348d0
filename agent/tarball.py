"""A tar.gz of a few texts in memory (POSIX ustar), as base64.

Written by hand because the tarfile module costs more start-up time than the
forty lines it would save here.
"""

from __future__ import annotations

import binascii
import zlib

_BLOCK = 512


def packed(files: dict[str, bytes]) -> str:
    """Base64 text of a gzipped tar with the given files, by name."""
    archive = b"".join(_member(name, data) for name, data in files.items()) + bytes(2 * _BLOCK)
    gzip = zlib.compressobj(1, zlib.DEFLATED, 31)
    return binascii.b2a_base64(gzip.compress(archive) + gzip.flush(), newline=False).decode()


def _member(name: str, data: bytes) -> bytes:
    head = bytearray(_BLOCK)
    fields = (
        (0, name.encode()[:99]),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"%011o\0" % len(data)),
        (136, b"%011o\0" % 0),
        (148, b" " * 8),
        (156, b"0"),
        (257, b"ustar\x0000"),
    )
    for at, value in fields:
        head[at : at + len(value)] = value
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data + bytes(-len(data) % _BLOCK)
