"""The files of an RPM: a lead, two headers of tagged values, and a compressed cpio archive.

Checks the digests that the package carries; signatures it does not. The format is that of
rpm's "package format" documentation, version 3, which rpm 4 and 6 write.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from netboot.archives import cpio
from netboot.archives.inflate import Inflated
from netboot.archives.member import BadArchive, Limits, Members
from netboot.archives.reading import Section, exactly

MAGIC = b"\xed\xab\xee\xdb"
_LEAD = 96
_HEADER = b"\x8e\xad\xe8\x01"
_MOST_TAGS, _LARGEST_STORE = 1 << 16, 64 << 20
_STRING, _STRINGS, _TRANSLATED = 6, 8, 9
_LONGEST_STRING = 4096
_HEADER_SHA256 = 273
_FORMAT, _PAYLOAD_DIGEST = 1124, 5092
_BLOCK = 1 << 20


@dataclass(frozen=True)
class _Tags:
    """A header: where its values are, and the bytes it was read from."""

    index: dict[int, tuple[int, int]]
    store: bytes
    raw: bytes

    def text(self, tag: int) -> str | None:
        """The value of a tag, the first one where there are several."""
        kind, offset = self.index.get(tag, (0, 0))
        if kind not in (_STRING, _STRINGS, _TRANSLATED):
            return None
        end = self.store.find(b"\0", offset, offset + _LONGEST_STRING)
        if offset > len(self.store) or end == -1:
            raise BadArchive(f"the value of the RPM tag {tag} lies outside of its header")
        return self.store[offset:end].decode("ascii", "replace")


def members(file: BinaryIO, limits: Limits) -> Members:
    """The files it would install. Raises BadArchive."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    lead = exactly(file, _LEAD, "the lead")
    if lead[:4] != MAGIC:
        raise BadArchive("it does not begin as an RPM does")
    if lead[6:8] != b"\0\0":
        raise BadArchive("it is a source RPM, which has no boot loaders to run")
    signature = _header(file, "signature header")
    exactly(file, -len(signature.raw) % 8, "padding")
    header = _header(file, "header")
    _check_header(signature, header)
    if (kind := header.text(_FORMAT)) not in (None, "cpio"):
        raise BadArchive(f"its payload is {kind!r}, not cpio")
    start = file.tell()
    _check_payload(header, Section(file, start, end - start))
    yield from cpio.members(Inflated(Section(file, start, end - start), limits))


def _header(file: BinaryIO, what: str) -> _Tags:
    intro = exactly(file, 16, f"the {what}")
    if intro[:4] != _HEADER:
        raise BadArchive(f"its {what} is damaged")
    count, size = struct.unpack(">II", intro[8:])
    if count > _MOST_TAGS or size > _LARGEST_STORE:
        raise BadArchive(f"its {what} has {count} tags in {size} bytes, which no package has")
    index = exactly(file, 16 * count, f"the {what}")
    store = exactly(file, size, f"the {what}")
    places = {tag: (kind, at) for tag, kind, at, _ in struct.iter_unpack(">IIII", index)}
    return _Tags(places, store, intro + index + store)


def _check_header(signature: _Tags, header: _Tags) -> None:
    wanted = signature.text(_HEADER_SHA256)
    if wanted is not None and hashlib.sha256(header.raw).hexdigest() != wanted.lower():
        raise BadArchive("its header is not the one its SHA-256 was made of")


def _check_payload(header: _Tags, payload: Section) -> None:
    wanted = header.text(_PAYLOAD_DIGEST)
    if wanted is None or len(wanted) != 64:
        return
    digest = hashlib.sha256()
    while block := payload.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest() != wanted.lower():
        raise BadArchive("its payload is not the one its SHA-256 was made of: it is damaged")
