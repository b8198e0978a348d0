"""Which of several conductors polls a node, by rendezvous hashing.

Whoever knows the same conductors comes to the same answer without asking anybody. When
one leaves, only its own nodes move, and to all the others alike. Work is not placed: any
conductor may take that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection


def owner(node: str, conductors: Collection[str]) -> str | None:
    """The one of ``conductors`` whose node this is; None when there is none of them."""
    if len(conductors) < 2:
        return next(iter(conductors), None)
    return max(conductors, key=lambda one: (_weight(node, one), one))


def _weight(node: str, conductor: str) -> bytes:
    # UUIDs have no blank in them, so that no two pairs make the same text.
    return hashlib.blake2b(f"{node} {conductor}".encode(), digest_size=8).digest()
