"""``drophammer serve``: options, the table of what listens where, signals, the end."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from drophammer import install
from drophammer.errors import DrophammerError, Invalid
from embedded import logs
from embedded.options import add_arguments, load, unknown
from embedded.service import Embedded

LOG = logging.getLogger(__name__)
# How many things that may hold each other are made before it is looked for lost ones.
GARBAGE = 20_000
# Stopping takes a second or two; a worker stuck in a system call must not make it longer.
STOP_SECONDS = 5.0
ROLES = ("api", "conductor", "netboot")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(
        prog="drophammer serve", description="Run Drophammer: API, conductor and network boot."
    )
    add_arguments(made)
    made.add_argument("--listen", metavar="HOST:PORT", help="address of the API")
    made.add_argument("--log-file", type=Path, metavar="FILE", help="log here, not to stderr")
    made.add_argument(
        "--role",
        type=roles,
        metavar="ROLE[,ROLE]",
        help=f"run only these: {', '.join(ROLES)}, or all (default: what [serve] says)",
    )
    for name in ROLES:
        made.add_argument(f"--no-{name}", action="store_true", help=f"do not run the {name} role")
    return made


def roles(text: str) -> tuple[str, ...]:
    """The roles that ``--role`` names. Raises ArgumentTypeError."""
    named = tuple(name.strip() for name in text.split(","))
    strange = [name for name in named if name not in (*ROLES, "all")]
    if strange:
        raise argparse.ArgumentTypeError(
            f"there is no role {strange[0]!r}; use {', '.join(ROLES)}, or all"
        )
    return ROLES if "all" in named else named


def main(argv: list[str]) -> int:
    """Run until SIGINT or SIGTERM. 0: stopped cleanly; 1: could not start, and why."""
    arguments = parser().parse_args(argv)
    try:
        conf = load(arguments.config_file, arguments.state_dir)
        for name in unknown(arguments.config_file):
            print(f"drophammer serve: {name} is no option and has no effect", file=sys.stderr)
        for name in ROLES:
            if arguments.role is not None:
                conf.set_override(name, name in arguments.role, group="serve")
            if getattr(arguments, f"no_{name}"):
                conf.set_override(name, False, group="serve")
        install.check()
        # Database, leases and machine data are for nobody else to read.
        os.umask(0o077)
        try:
            logs.start(conf.log_level, arguments.log_file, form=conf.log_format)
        except OSError as error:
            raise Invalid(f"--log-file {arguments.log_file}: {error.strerror}.") from error
        service = Embedded(conf, listen=arguments.listen)
        signals = hear_signals()
        service.start()
    except DrophammerError as error:
        print(f"drophammer serve: {error.message}", file=sys.stderr)
        return 1
    # What is loaded by now never becomes garbage: do not look through it again and again.
    gc.collect()
    gc.freeze()
    # Nor often for what may be: at 700 new things, the default, it takes a tenth of the CPU of
    # a long list, and a quarter of a GET's when the API is busy.
    gc.set_threshold(GARBAGE)
    print_table(service)
    while os.read(signals, 1)[0] == signal.SIGHUP:
        reload(service, arguments)
    print("Stopping ...", flush=True)
    end_anyway()
    service.stop()
    print("Stopped.", flush=True)
    # Not by returning: Python would wait for threads that are in a call to a machine.
    logging.shutdown()
    os._exit(0)


def hear_signals() -> int:
    """Where the number of each signal that concerns us can be read, a byte each.

    Which thread a signal interrupts is the kernel's choice: one that waits for a lock may never
    hear of it.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    numbers = [signal.SIGINT, signal.SIGTERM]
    if not sys.stdin or not sys.stdin.isatty():
        # Of a terminal it says that nobody sits there any more.
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    return reading


def reload(service: Embedded, arguments: argparse.Namespace) -> None:
    """Read the configuration again; what is wrong with it is told, and nothing changes then."""
    try:
        service.reload(load(arguments.config_file, arguments.state_dir))
    except DrophammerError as error:
        LOG.error("the configuration is used as it was: %s", error.message)
    except Exception:
        # Whatever it is, machines are served as before.
        LOG.exception("the configuration could not be read again")
    else:
        LOG.info("the configuration was read again: the subnets of [dhcp] are as it says")


def print_table(service: Embedded) -> None:
    """What is listening where."""
    print("Drophammer is running:")
    for line in service.listening:
        print(f"  {line.service:<14}{line.address:<40}{line.state}")
    print("Ctrl-C stops it.", flush=True)


def end_anyway() -> None:
    """End the process when stopping takes too long: what is in the journal is not lost."""

    def give_up(number: int, frame: FrameType | None) -> None:
        LOG.error("stopping took longer than %.0f s; leaving now", STOP_SECONDS)
        os._exit(1)

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS - 0.5)
