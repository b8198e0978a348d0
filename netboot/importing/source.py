"""What a source of boot files gives to an import: one ``Entry`` per file below the snapshot.

Only the words both sides speak. A source knows upstream and its formats and writes to no
tree; the importer puts content into the cache and builds snapshots, and knows no upstream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from drophammer.errors import ImageError


@dataclass(frozen=True)
class Known:
    """What the index has of a path from the last import."""

    sha256: str
    size: int
    origin: str | None = None


@dataclass(frozen=True)
class Entry:
    """One file that belongs into the next snapshot.

    ``fetch`` writes the whole content to a binary file that can seek, or raises; ``take``
    calls it. ``origin`` is opaque to the importer: kept in its index and handed back as
    ``Known.origin``, by it a source sees that upstream has not changed. It then gives the
    known ``sha256`` again, and a file with it in the cache need not be fetched.
    """

    path: str
    sha256: str | None
    size: int | None
    version: str
    fetch: Callable[[BinaryIO], None]
    origin: str | None = None


class Source(Protocol):
    """Somewhere boot files come from."""

    @property
    def name(self) -> str:
        """How configuration and messages call it."""

    def entries(self, known: Mapping[str, Known]) -> Iterable[Entry]:
        """All files it has to offer now, each path once. Raises domain errors.

        An entry's ``fetch`` may be called whenever, and again.
        """


def take(entry: Entry, out: BinaryIO) -> tuple[str, int]:
    """Write the content of ``entry`` to the end of ``out``; returns its SHA-256 and size.

    ``out`` must be readable too. Raises ImageError when the content is not what the entry
    says; what ``out`` holds is then of no use.
    """
    start = out.seek(0, 2)
    entry.fetch(out)
    out.flush()
    out.seek(start)
    digest, size = hashlib.sha256(), 0
    while block := out.read(1 << 20):
        digest.update(block)
        size += len(block)
    if entry.size is not None and size != entry.size:
        raise ImageError(
            f"{entry.path} was fetched with {size} bytes and should have {entry.size}. It was not "
            "taken; import again, and if it stays so the mirror is not whole."
        )
    if entry.sha256 is not None and digest.hexdigest() != entry.sha256:
        raise ImageError(
            f"{entry.path} was fetched with SHA-256 {digest.hexdigest()} and should have "
            f"{entry.sha256}. It was not taken; import again, and if it stays so ask whoever "
            "runs the mirror."
        )
    return digest.hexdigest(), size
