"""What a TFTP client may have of what it asks for (RFC 2347, 2348, 2349, 7440).

Pure: options of a request and our limits in, the terms of the transfer out. An
option with a bad value is left out of the answer, which RFC 2347 defines as "not
granted", and the transfer goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MIN_BLKSIZE, DEFAULT_BLKSIZE, LARGEST_BLKSIZE = 8, 512, 65464
IPV6_EXTRA_HEADER = 20
MAX_WINDOW_BYTES = 96 * 1024
"""A window must fit into a socket's default send buffer (208 KiB, overhead counted)."""

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """What the server allows.

    max_blksize: octets, for IPv4; 1468 fills an Ethernet frame. IPv6 gets 20 less.
    max_windowsize: blocks sent without an acknowledgement between them.
    max_timeout: s; a client that asks for a longer one is not granted it.
    max_transfers: at the same time; more get error 0. Each needs 3 descriptors. Who has
        never acknowledged anything after the first pause makes room for others.
    max_of_client: of these, for one address: nobody shall take them all.
    open_seconds: how long the source may take to find a file.
    retry_seconds: first pause before a packet is sent again, doubled each time,
        when the client named none.
    patience_seconds: silence after which a client is given up.
    max_netascii: octets; text mode is converted in memory.
    """

    max_blksize: int = 1468
    max_windowsize: int = 64
    max_timeout: int = 60
    max_transfers: int = 1000
    max_of_client: int = 250
    open_seconds: float = 10.0
    retry_seconds: float = 0.25
    patience_seconds: float = 20.0
    max_netascii: int = 16 << 20


@dataclass(frozen=True)
class Terms:
    """How one transfer goes; ``timeout`` is None where the server chooses its pauses.

    ``answered`` holds the options for the OACK; empty means that none is sent.
    """

    blksize: int
    windowsize: int
    timeout: int | None
    answered: Mapping[str, str]


def negotiate(options: Mapping[str, str], limits: Limits, size: int, *, ipv6: bool) -> Terms:
    """The terms for a file of ``size`` octets, given the options of the request."""
    answered: dict[str, str] = {}
    blksize, windowsize, timeout = DEFAULT_BLKSIZE, 1, None
    asked = _number(options.get("blksize"), MIN_BLKSIZE)
    if asked is not None:
        cap = limits.max_blksize - (IPV6_EXTRA_HEADER if ipv6 else 0)
        blksize = max(MIN_BLKSIZE, min(asked, cap, LARGEST_BLKSIZE))
        answered["blksize"] = str(blksize)
    asked = _number(options.get("windowsize"), 1)
    if asked is not None:
        room = max(1, MAX_WINDOW_BYTES // blksize)
        windowsize = min(asked, limits.max_windowsize, room)
        answered["windowsize"] = str(windowsize)
    asked = _number(options.get("timeout"), 1)
    if asked is not None and asked <= min(255, limits.max_timeout):
        timeout = asked
        answered["timeout"] = str(asked)
    if _number(options.get("tsize"), 0) is not None:
        answered["tsize"] = str(size)
    return Terms(blksize, windowsize, timeout, answered)


def _number(text: str | None, least: int) -> int | None:
    if text is None or not _NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if value >= least else None
