"""The command ``drophammer lab``: a lab of virtual machines by hand.

Reads the command line, calls the lab, prints. No decisions of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import select
import shlex
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from drophammer import errors
from lab import console, faults, files, hardware, image, kernel, serviceconf
from lab.lab import PASSWORD_FILE, STATE_DIR, Lab, LabMachine, Plan
from ramdisk.build import DEFAULT_CACHE

BOOT_DIR = Path("/var/lib/drophammer/boot")
IMAGES_DIR = Path("/var/lib/drophammer/images")
_LEAVE = b"\x1d"  # Ctrl-]


def main(argv: list[str]) -> int:
    """Run one command. Expected errors become a sentence on standard error and exit code 1."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except errors.DrophammerError as error:
        print(f"drophammer lab: {error.message}", file=sys.stderr)
        return 1
    except PermissionError as error:
        what = error.filename or "this lab"
        print(f"drophammer lab: {what} belongs to another user: run it as root", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"drophammer lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drophammer lab",
        description="Virtual machines with power controllers, on a network of their own.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--name", default="default", help="name of the lab (default: %(default)s)")
    where.add_argument(
        "--state-dir",
        type=Path,
        default=STATE_DIR,
        metavar="DIR",
        help="where labs keep their files, each in a folder of its name (default: %(default)s)",
    )
    _up_options(_command(commands, "up", _up, "make machines, powered off, disks empty", where))
    _command(commands, "status", _status, "show the machines", where)

    see = _command(commands, "console", _console, "attach to a machine's serial port", where)
    see.description = "Attach to a serial port; of a machine that is off, print what it wrote."
    see.add_argument("machine", help="name of the machine, such as node-1")
    see.add_argument("--log", action="store_true", help="print what was written so far, and end")

    _fault_options(_command(commands, "fault", _fault, "make a controller misbehave", where))

    build = _command(commands, "image", _image, "build a small system that can be deployed")
    build.description = "Build the test image, and its checksum beside it."
    build.add_argument("output", type=Path, help="the image file; its folder is made")
    build.add_argument(
        "--kernel",
        choices=sorted(kernel.FLAVOURS),
        default="cloud",
        help="cloud is small and for virtual machines (default: %(default)s)",
    )
    build.add_argument(
        "--cache-dir",
        type=Path,
        default=DEFAULT_CACHE,
        metavar="DIR",
        help="folder for downloaded packages and built images (default: %(default)s)",
    )

    down = _command(commands, "down", _down, "remove the lab", where)
    down.description = (
        "Remove machines, network and files, with the state of the service that was run by the "
        "lab's own configuration: stop that service first."
    )
    down.add_argument(
        "--force", action="store_true", help="also while that service runs; it loses its state"
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    what: str,
    *parents: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    made = commands.add_parser(
        name, parents=parents, help=what, description=what[0].upper() + what[1:] + "."
    )
    made.set_defaults(run=run)
    return made


def _up_options(up: argparse.ArgumentParser) -> None:
    shown = "(default: %(default)s)"
    up.add_argument("--nodes", type=int, default=Plan.nodes, help=f"number of machines {shown}")
    up.add_argument(
        "--firmware", choices=hardware.FIRMWARES, default=Plan.firmware, help=f"what boots {shown}"
    )
    up.add_argument("--secure-boot", action="store_true", help="UEFI with Microsoft's keys")
    up.add_argument(
        "--pxe-rom",
        choices=hardware.PXE_ROMS,
        default=Plan.pxe_rom,
        help=f"network boot by QEMU's iPXE, or by the firmware's own client {shown}",
    )
    up.add_argument(
        "--nic", choices=sorted(hardware.NICS), default=Plan.nic, help=f"network card {shown}"
    )
    up.add_argument(
        "--memory", type=int, default=Plan.memory, metavar="MIB", help=f"of each machine {shown}"
    )
    up.add_argument(
        "--disk", type=int, default=Plan.disk, metavar="MIB", help=f"of each machine {shown}"
    )
    up.add_argument(
        "--bmc-port",
        type=int,
        default=Plan.bmc_port,
        metavar="PORT",
        help="first controller's UDP port (default: free ones)",
    )
    up.add_argument(
        "--bmc-per-address", action="store_true", help="controllers at 127.0.1.N, all on one port"
    )
    up.add_argument(
        "--boot-dir",
        type=Path,
        default=BOOT_DIR,
        metavar="DIR",
        help=f"where `drophammer ramdisk build` has put kernel and ramdisk {shown}",
    )
    up.add_argument(
        "--images-dir",
        type=Path,
        default=IMAGES_DIR,
        metavar="DIR",
        help=f"folder of images to serve to the machines {shown}",
    )


def _fault_options(fault: argparse.ArgumentParser) -> None:
    fault.description = (
        "Make a controller misbehave until told otherwise. The switches replace those of an "
        "earlier call; without any the controller is well again."
    )
    fault.add_argument("machine", help="name of the machine, such as node-1")
    fault.add_argument("--clear", action="store_true", help="no fault; the same as no switch")
    fault.add_argument("--silent", action="store_true", help="answer nothing")
    fault.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="wait before each answer"
    )
    fault.add_argument("--refuse-power-on", action="store_true", help="fail when asked to power on")
    fault.add_argument("--wrong-password", action="store_true", help="no password is right")


def _lab(options: argparse.Namespace) -> Lab:
    return Lab(options.name, options.state_dir)


def _up(options: argparse.Namespace) -> int:
    fields = {field.name for field in dataclasses.fields(Plan)}
    plan = Plan(**{name: value for name, value in vars(options).items() if name in fields})
    machines = _lab(options).up(plan)
    print("\n".join(table(machines)))
    print("\n" + "\n".join(_serving(options, plan)))
    print("\nTo enrol them there:")
    print(f"export OS_AUTH_TYPE=none OS_ENDPOINT={serviceconf.API_URL}")
    print("\n".join(enrolment(one) for one in machines))
    print(f"\nTheir network is in the namespace {_lab(options).namespace}; a shell in it:")
    print(f"nsenter --net=/run/netns/{_lab(options).namespace}")
    return 0


def _serving(options: argparse.Namespace, plan: Plan) -> list[str]:
    """How to run a service for this lab; its configuration is written beside the machines."""
    made = _lab(options)
    boot_dir = options.boot_dir.resolve()
    config = made.directory / "drophammer.conf"
    text = serviceconf.render(
        namespace=made.namespace,
        addresses=plan.addresses,
        state_dir=made.service_dir,
        boot_dir=boot_dir,
        images_dir=options.images_dir.resolve(),
        boot_mode=plan.firmware,
    )
    files.write_whole(config, text)
    lines = ["To run a service for them, in a terminal of its own:"]
    if not (boot_dir / "initrd").exists():
        lines.append(shlex.join(["drophammer", "ramdisk", "build", "--output", str(boot_dir)]))
    return [*lines, shlex.join(["drophammer", "serve", "--config-file", str(config)])]


def _status(options: argparse.Namespace) -> int:
    made = _lab(options)
    print("\n".join(table(made.machines)))
    print(f"\nPasswords:   {made.directory}/MACHINE/{PASSWORD_FILE}")
    print(f"Serial logs: {made.directory}/MACHINE/{hardware.SERIAL_LOG}")
    return 0


def _down(options: argparse.Namespace) -> int:
    made = _lab(options)
    if made.down(options.force):
        print(f"lab {made.name!r} is gone")
    else:
        print(f"there is no lab {made.name!r} in {made.directory}")
    return 0


def _fault(options: argparse.Namespace) -> int:
    switches = faults.Faults(
        options.silent, options.delay, options.refuse_power_on, options.wrong_password
    )
    if options.clear and switches != faults.Faults():
        raise errors.Invalid("--clear goes with no other switch")
    _lab(options).machine(options.machine).break_bmc(switches)
    print(f"{options.machine}: faults: {_in_words(switches)}")
    return 0


def _image(options: argparse.Namespace) -> int:
    output = image.build(options.output, options.cache_dir, options.kernel, print)
    print(f"{output} and {output}.sha256 written")
    return 0


def _console(options: argparse.Namespace) -> int:
    one = _lab(options).machine(options.machine)
    if options.log or not one.is_on:
        print("\n".join(console.SerialLog(one.serial_log).lines()))
        return 0
    print(f"Serial port of {one.name}; Ctrl-] leaves.", file=sys.stderr)
    with _raw_terminal():
        # Each boot of the machine opens its serial port anew.
        while (serial := _serial_of(one)) is not None:
            with serial:
                if _relay(serial):
                    return 0
    print(f"{one.name} is off.", file=sys.stderr)
    return 0


def _serial_of(one: LabMachine) -> socket.socket | None:
    """A connection to the serial port, None when the machine stays off for a second."""
    for _ in range(20):
        serial = socket.socket(socket.AF_UNIX)
        try:
            serial.connect(str(one.serial_socket))
        except OSError:
            serial.close()
            time.sleep(0.05)
        else:
            return serial
    return None


def enrolment(one: LabMachine) -> str:
    """The shell line that enrols a machine: by a file, since all users see command lines."""
    return shlex.join(["baremetal", "create", str(one.enrolment_file)])


def table(machines: list[LabMachine]) -> list[str]:
    """The machines as lines of text, the first one naming the columns."""
    rows = [("MACHINE", "POWER", "MAC", "BMC", "USER", "FAULTS")]
    for one in machines:
        power = ("on" if one.is_on else "off") if one.bmc_is_up else "BMC ended"
        bmc = f"{one.bmc_address}:{one.bmc_port}"
        broken = _in_words(faults.read(one.directory))
        rows.append((one.name, power, one.mac, bmc, one.bmc_username, broken))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    cells = ((cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return ["  ".join(row).rstrip() for row in cells]


def _in_words(switches: faults.Faults) -> str:
    """The faults by the names of their options."""
    on = []
    for name, value in dataclasses.asdict(switches).items():
        if value:
            option = name.replace("_", "-")
            on.append(option if value is True else f"{option} {value:g}")
    return ", ".join(on) or "none"


def _relay(serial: socket.socket) -> bool:
    """Carry bytes between terminal and serial port. True when the user left, by Ctrl-]."""
    keyboard: int | None = sys.stdin.fileno()
    while True:
        watched: list[socket.socket | int] = [serial]
        if keyboard is not None:
            watched.append(keyboard)
        ready, _, _ = select.select(watched, [], [])
        if serial in ready:
            written = _received(serial)
            if not written:
                return False
            os.write(sys.stdout.fileno(), written)
        if keyboard in ready and keyboard is not None:
            typed = os.read(keyboard, 4096)
            if _LEAVE in typed:
                return True
            if typed:
                serial.sendall(typed)
            else:
                keyboard = None


def _received(serial: socket.socket) -> bytes:
    try:
        return serial.recv(4096)
    except ConnectionError:
        return b""


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Hand every key to the serial port; a pipe is left as it is."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
