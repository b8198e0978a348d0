"""The process of one lab machine: its controller, and QEMU while it is on.

Started by the lab as ``python -m lab.supervisor``; says on one line of standard
output, in JSON, where the controller listens or why it does not. SIGTERM ends
it and its machine; should it be killed, the kernel kills QEMU.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from drophammer.secret import Secret
from lab import bmc, bootflags, faults, hardware, machine, processes

SPEC_FILE = "machine.json"
PID_FILE = "bmc.pid"
LOG = logging.getLogger("lab.supervisor")


def main(argv: list[str]) -> int:
    """Run until SIGTERM. The exit code is 1 when the controller could not start."""
    options = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    directory: Path = options.directory
    # What a machine writes may hold secrets; QEMU makes its files with this mask too.
    os.umask(0o077)
    try:
        controller = _controller(directory, options)
    except OSError as error:
        _say({"error": _in_words(error, options.address, options.port)})
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: controller.stop())
    processes.record(directory / PID_FILE, os.getpid())
    LOG.info("controller of %s at %s:%d", directory.name, controller.address, controller.port)
    _say({"address": controller.address, "port": controller.port})
    controller.serve()
    (directory / PID_FILE).unlink(missing_ok=True)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lab.supervisor", description=__doc__)
    parser.add_argument("directory", type=Path, help="the machine's directory")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password-file", type=Path, required=True)
    return parser.parse_args(argv)


def _controller(directory: Path, options: argparse.Namespace) -> bmc.LabBmc:
    spec = hardware.MachineSpec.from_json(json.loads((directory / SPEC_FILE).read_text()))
    password = Secret(options.password_file.read_text().strip())
    flags = bootflags.BootFlags()
    controllers: list[bmc.LabBmc] = []

    def power_changed(what: str) -> None:
        LOG.info("%s %s", spec.name, what)
        for one in controllers:
            one.wake()

    controller = bmc.LabBmc(
        machine.Machine(spec, flags, power_changed),
        flags,
        faults.FaultFile(directory),
        (options.username, password),
        (options.address, options.port),
    )
    controllers.append(controller)
    return controller


def _in_words(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"UDP port {port} of {address} is in use: choose another first port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this host"
    if error.errno == errno.EACCES:
        return f"UDP port {port} of {address} may not be bound without root"
    return str(error)


def _say(line: dict[str, Any]) -> None:
    """Write the one line, then let go of the pipe: its reader waits for its end."""
    print(json.dumps(line), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
