"""TFTP packets as bytes: reading requests, writing answers (RFC 1350, 2347).

Pure functions; no sockets, no decision about what is granted. The hot path of a
transfer builds its DATA headers itself (see tftp_blocks.py).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from drophammer.errors import Invalid

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)

NOT_DEFINED, NOT_FOUND, ACCESS, DISK_FULL, ILLEGAL, UNKNOWN_ID, EXISTS, NO_USER, OPTION = range(9)
"""Error codes of RFC 1350, appendix I, and RFC 2347 (8)."""

MAX_REQUEST = 2048
"""RFC 2347 allows 512 octets; some firmware pads beyond that."""

HEADER = struct.Struct("!HH")
_LONGEST_ERROR = 200


class BadPacket(Invalid):
    """A request that breaks the protocol; it deserves error 4."""


class NotARequest(BadPacket):
    """A datagram that asks nothing: never answered, or two servers could argue for ever."""


@dataclass(frozen=True)
class Asked:
    """A read or write request as it came: mode and option names in lower case."""

    opcode: int
    filename: str
    mode: str
    options: Mapping[str, str]


def parse_request(data: bytes) -> Asked:
    """Read an RRQ or WRQ; raises BadPacket, or NotARequest for all that is not one.

    File name and mode must be whole. Options are taken as far as they make pairs:
    what follows (padding, a cut-off end) is ignored, as firmware pads its datagrams.
    """
    if len(data) < 2 or data[0] != 0 or data[1] not in (RRQ, WRQ):
        raise NotARequest("The datagram is not a TFTP request.")
    texts = data[2:].split(b"\0")
    # What stands after the last NUL has no end and is nothing.
    del texts[-1]
    if len(texts) < 2 or not texts[0]:
        raise BadPacket("The request has no file name or no mode.")
    mode = _text(texts[1]).lower()
    if not mode:
        raise BadPacket("The request has no mode; ask for octet.")
    return Asked(data[1], _text(texts[0]), mode, _options(texts[2:]))


def _options(texts: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in zip(texts[::2], texts[1::2], strict=False):
        if not name:
            break
        found.setdefault(_text(name).lower(), _text(value))
    return found


def _text(raw: bytes) -> str:
    # Not UTF-8 can be no name of ours, and must not break a log or a database.
    return raw.decode("utf-8", "replace")


def error(code: int, message: str) -> bytes:
    """An ERROR packet; the message is cut to what a firmware screen can hold."""
    text = message[:_LONGEST_ERROR].encode("ascii", "replace").replace(b"\0", b" ")
    return HEADER.pack(ERROR, code) + text + b"\0"


def oack(options: Mapping[str, str]) -> bytes:
    """An OACK packet with the options that were granted, in this order (RFC 2347)."""
    return struct.pack("!H", OACK) + b"".join(
        name.encode() + b"\0" + value.encode() + b"\0" for name, value in options.items()
    )


def error_text(data: bytes) -> str:
    """ "code text" of an ERROR packet received, printable, for logs and events."""
    code = HEADER.unpack_from(data)[1]
    text = data[4:].split(b"\0", 1)[0][:_LONGEST_ERROR].decode("ascii", "replace")
    return f"{code} {''.join(c if c.isprintable() else '?' for c in text)}".rstrip()
