"""``drophammer ramdisk``: one sub-command for each thing that can be done with a ramdisk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ramdisk import build

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"build": build.main}


def main(argv: list[str]) -> int:
    """Run one. Returns its exit code; 2 for a call that makes no sense."""
    if not argv or argv[0] not in COMMANDS:
        asked = argv and argv[0] in ("-h", "--help")
        print(f"usage: drophammer ramdisk {'|'.join(COMMANDS)} [options]", file=sys.stderr)
        return 0 if asked else 2
    return COMMANDS[argv[0]](argv[1:])
