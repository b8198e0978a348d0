"""``drophammer ramdisk``: one sub-command for each thing that can be done with a ramdisk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ramdisk import build, toolcmd

# name -> (function taking arguments and returning an exit code, what it does)
COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "build": (build.main, "build kernel and ramdisk from Debian packages, into a folder"),
    "unpack": (toolcmd.unpack_main, "unpack a ramdisk into a folder, to look at it or change it"),
    "repack": (toolcmd.repack_main, "pack such a folder into a ramdisk again"),
}


def main(argv: list[str]) -> int:
    """Run one. Returns its exit code; 2 for a call that makes no sense."""
    if argv and argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if not argv or argv[0] not in COMMANDS:
        print(usage(), file=sys.stderr)
        return 2
    return COMMANDS[argv[0]][0](argv[1:])


def usage() -> str:
    """What the command can do."""
    lines = ["usage: drophammer ramdisk COMMAND [options]", ""]
    lines += [f"  {name:<10}{what}" for name, (_, what) in COMMANDS.items()]
    lines += ["", "`drophammer ramdisk COMMAND --help` tells the options."]
    return "\n".join(lines)
