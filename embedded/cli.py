"""The command ``drophammer``: one table of sub-commands, each loaded when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys

from drophammer import __version__

# name -> (module:function taking argv and returning an exit code, what it does)
COMMANDS = {
    "serve": ("embedded.serve:main", "run the service (every role in one process)"),
    "db": ("embedded.dbcmd:main", "bring the schema to this version's; copy a database"),
    "config": ("embedded.configcmd:main", "print the sample configuration, or check a file"),
    "images": ("embedded.imagescmd:main", "import what machines boot, and list it"),
    "import-netboot": (
        "netboot.importing.netbootcmd:main",
        "fetch netboot installers for another TFTP server",
    ),
    "services": ("embedded.servicescmd:main", "see, restart and listen to what netboot runs"),
    "doctor": ("embedded.doctorcmd:main", "ask the network what a booting machine would be told"),
    "ramdisk": (
        "ramdisk.cli:main",
        "build the ramdisk that machines boot; unpack, repack one",
    ),
    "lab": ("lab.cli:main", "virtual machines with power controllers, to play with"),
    "demo": ("lab.demo:main", "turn an empty virtual machine into a running system"),
}


READER_GONE = 128 + signal.SIGPIPE
"""The exit code of a program that is ended by writing to who does not read any more."""


def main(argv: list[str] | None = None) -> int:
    """Run one sub-command. Returns the exit code; 2 for a call that makes no sense."""
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this, `head` perhaps, has seen enough. Python writes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(f"drophammer {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        print(f"drophammer: there is no command {arguments[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    module, _, function = COMMANDS[arguments[0]][0].partition(":")
    code = getattr(importlib.import_module(module), function)(arguments[1:])
    return int(code or 0)


def usage() -> str:
    """What the command can do."""
    lines = ["usage: drophammer COMMAND [options]", ""]
    lines += [f"  {name:<16}{what}" for name, (_, what) in COMMANDS.items()]
    lines += ["", "`drophammer COMMAND --help` tells the options."]
    return "\n".join(lines)
