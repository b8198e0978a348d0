"""The command ``drophammer lab``: a lab of virtual machines by hand.

Reads the command line, calls the lab, prints. No decisions of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import select
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from drophammer import errors
from lab import console, faults, hardware, image, serviceconf
from lab.lab import STATE_DIR, Lab, LabMachine, Plan

CACHE_DIR = Path("/var/cache/drophammer")
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
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="drophammer lab", description="Virtual bare metal.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--name", default="lab", help="name of the lab (default: lab)")
    where.add_argument("--state-dir", type=Path, default=STATE_DIR, help="where labs keep files")

    up = commands.add_parser("up", parents=[where], help="make machines, powered off, disks empty")
    up.add_argument("--nodes", type=int, default=1, help="number of machines")
    up.add_argument("--firmware", choices=hardware.FIRMWARES, default=hardware.BIOS)
    up.add_argument("--secure-boot", action="store_true", help="UEFI with Microsoft's keys")
    up.add_argument("--pxe-rom", choices=hardware.PXE_ROMS, default="ipxe")
    up.add_argument("--nic", choices=sorted(hardware.NICS), default="virtio")
    up.add_argument("--memory", type=int, default=512, metavar="MIB")
    up.add_argument("--disk", type=int, default=Plan.disk, metavar="MIB")
    up.add_argument(
        "--bmc-port", type=int, default=0, help="first controller's UDP port (default: free ones)"
    )
    up.add_argument(
        "--bmc-per-address", action="store_true", help="controllers at 127.0.1.N, all on one port"
    )
    up.add_argument(
        "--boot-dir",
        type=Path,
        default=BOOT_DIR,
        help="where `drophammer ramdisk build` has put kernel and ramdisk (default: %(default)s)",
    )
    up.add_argument(
        "--images-dir",
        type=Path,
        default=IMAGES_DIR,
        help="folder of images to serve to the machines (default: %(default)s)",
    )
    up.set_defaults(run=_up)

    commands.add_parser("status", parents=[where], help="show the machines").set_defaults(
        run=_status
    )
    see = commands.add_parser("console", parents=[where], help="attach to a serial port")
    see.add_argument("machine")
    see.add_argument("--log", action="store_true", help="print what was written so far, and end")
    see.set_defaults(run=_console)

    fault = commands.add_parser("fault", parents=[where], help="make a controller misbehave")
    fault.add_argument("machine")
    fault.add_argument("--silent", action="store_true", help="answer nothing")
    fault.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    fault.add_argument("--refuse-power-on", action="store_true")
    fault.add_argument("--wrong-password", action="store_true", help="no password is right")
    fault.set_defaults(run=_fault)

    build = commands.add_parser("image", help="build the bootable test image")
    build.add_argument("output", type=Path)
    build.add_argument("--kernel", choices=("cloud", "generic"), default="cloud")
    build.add_argument("--cache-dir", type=Path, default=CACHE_DIR)
    build.set_defaults(run=_image)

    commands.add_parser("down", parents=[where], help="remove the lab").set_defaults(run=_down)
    return parser


def _lab(options: argparse.Namespace) -> Lab:
    return Lab(options.name, options.state_dir)


def _up(options: argparse.Namespace) -> int:
    fields = {field.name for field in dataclasses.fields(Plan)}
    plan = Plan(**{name: value for name, value in vars(options).items() if name in fields})
    machines = _lab(options).up(plan)
    _print_table(machines)
    print("\n" + "\n".join(_serving(options, plan)))
    print("\nTo enroll them:")
    for one in machines:
        print("\n".join(enrolment(one)))
    print(f"\nTheir network is in the namespace {_lab(options).namespace}; a shell in it:")
    print(f"nsenter --net=/run/netns/{_lab(options).namespace}")
    return 0


def _serving(options: argparse.Namespace, plan: Plan) -> list[str]:
    """How to run a service for this lab; its configuration is written beside the machines."""
    made = _lab(options)
    boot_dir = options.boot_dir.resolve()
    config = made.directory / "drophammer.conf"
    config.write_text(
        serviceconf.render(
            namespace=made.namespace,
            addresses=plan.addresses,
            state_dir=made.directory / "service",
            boot_dir=boot_dir,
            images_dir=options.images_dir.resolve(),
            boot_mode=plan.firmware,
        )
    )
    lines = ["To run a service for them:"]
    if not (boot_dir / "initrd").exists():
        lines.append(f"drophammer ramdisk build --output {boot_dir}")
    return [*lines, f"drophammer serve --config-file {config}"]


def _status(options: argparse.Namespace) -> int:
    _print_table(_lab(options).machines)
    return 0


def _down(options: argparse.Namespace) -> int:
    _lab(options).down()
    return 0


def _fault(options: argparse.Namespace) -> int:
    switches = faults.Faults(
        options.silent, options.delay, options.refuse_power_on, options.wrong_password
    )
    _lab(options).machine(options.machine).break_bmc(switches)
    print(f"{options.machine}: {_in_words(switches)}")
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


def enrolment(one: LabMachine) -> list[str]:
    """Shell lines that enroll a machine; the password is read from its file by the shell."""
    node = [
        f"baremetal node create --name {one.name} --driver ipmi",
        f"  --driver-info ipmi_address={one.bmc_address} --driver-info ipmi_port={one.bmc_port}",
        f"  --driver-info ipmi_username={one.bmc_username}",
        f'  --driver-info ipmi_password="$(cat {one.bmc_password_file})"',
    ]
    show = f"baremetal node show {one.name} -f value -c uuid"
    return [" \\\n".join(node), f'baremetal port create {one.mac} --node "$({show})"']


def table(machines: list[LabMachine]) -> list[str]:
    """The machines as lines of text, the first one naming the columns."""
    rows = [("MACHINE", "POWER", "MAC", "BMC", "USER", "PASSWORD IN", "SERIAL LOG", "FAULTS")]
    for one in machines:
        power = ("on" if one.is_on else "off") if one.bmc_is_up else "BMC ended"
        bmc = f"{one.bmc_address}:{one.bmc_port}"
        files = (str(one.bmc_password_file), str(one.serial_log))
        broken = _in_words(faults.read(one.directory))
        rows.append((one.name, power, one.mac, bmc, one.bmc_username, *files, broken))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    cells = ((cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return ["  ".join(row).rstrip() for row in cells]


def _print_table(machines: list[LabMachine]) -> None:
    print("\n".join(table(machines)))


def _in_words(switches: faults.Faults) -> str:
    on = [f"{name}={value}" for name, value in dataclasses.asdict(switches).items() if value]
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
