"""Writing files that only their owner may read.

What lies in a machine's folder holds secrets: the password of its controller,
and on a deployed disk whatever the config drive brought.
"""

from __future__ import annotations

import os
from pathlib import Path


def private(path: str, flags: int) -> int:
    """An ``opener`` for ``open``: what it makes is for its owner alone."""
    return os.open(path, flags, 0o600)


def write_whole(path: Path, text: str) -> None:
    """Write a private file; readers see the old text or the new one, never a part."""
    partial = path.with_name(path.name + ".new")
    with open(partial, "w", opener=private) as file:
        file.write(text)
    partial.replace(path)
