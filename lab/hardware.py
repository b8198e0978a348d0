"""What a virtual machine consists of, and the QEMU command line that makes it.

Pure: nothing here starts a process. Addresses, file names and sizes come from
the caller; the order of boot devices is given for each start.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any

from drophammer import errors
from drophammer.netns import Namespace

BIOS = "bios"
UEFI = "uefi"
FIRMWARES = (BIOS, UEFI)
PXE_ROMS = ("ipxe", "plain")
NICS = {"virtio": "virtio-net-pci", "e1000": "e1000"}

SERIAL_LOG = "serial.log"
PROBE_SECONDS = 3.0
_OVMF = Path("/usr/share/OVMF")
_UUID_SPACE = uuid.UUID("7d9c2f0e-5f0b-4f4e-9a7c-1f0d22b4a001")


@dataclasses.dataclass(frozen=True)
class MachineSpec:
    """One virtual machine. ``directory`` holds all of its files.

    ``accel`` is ``kvm`` or ``tcg``; ``memory`` in MiB; ``pxe_rom`` is ``ipxe``
    (QEMU's own network boot ROM) or ``plain`` (the PXE client of OVMF itself).
    An empty ``namespace`` and ``tap`` leave the machine without a network.
    """

    name: str
    directory: Path
    mac: str
    namespace: str = ""
    tap: str = ""
    firmware: str = BIOS
    secure_boot: bool = False
    pxe_rom: str = "ipxe"
    nic: str = "virtio"
    memory: int = 512
    cpus: int = 1
    accel: str = "tcg"
    program: str = "qemu-system-x86_64"

    def __post_init__(self) -> None:
        _one_of("firmware", self.firmware, FIRMWARES)
        _one_of("network boot ROM", self.pxe_rom, PXE_ROMS)
        _one_of("network card", self.nic, tuple(NICS))
        _one_of("accelerator", self.accel, ("kvm", "tcg"))
        if self.firmware == BIOS and self.secure_boot:
            raise errors.Invalid("Secure Boot needs UEFI firmware; this machine has a BIOS")
        if self.firmware == BIOS and self.pxe_rom == "plain":
            raise errors.Invalid("SeaBIOS has no PXE client of its own; only OVMF can boot 'plain'")

    @property
    def uuid(self) -> uuid.UUID:
        """The machine's own UUID, the same at every start."""
        return uuid.uuid5(_UUID_SPACE, f"{self.directory}/{self.name}/{self.mac}")

    @property
    def disk(self) -> Path:
        return self.directory / "disk.raw"

    @property
    def serial_log(self) -> Path:
        return self.directory / SERIAL_LOG

    @property
    def serial_socket(self) -> Path:
        return self.directory / "serial.sock"

    @property
    def qmp_socket(self) -> Path:
        return self.directory / "qmp.sock"

    @property
    def firmware_variables(self) -> Path:
        return self.directory / "firmware-vars.fd"

    @property
    def qemu_log(self) -> Path:
        return self.directory / "qemu.log"

    def to_json(self) -> dict[str, Any]:
        """A JSON object that ``from_json`` reads back."""
        return dataclasses.asdict(self) | {"directory": str(self.directory)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MachineSpec:
        """The machine that ``to_json`` wrote."""
        return cls(**data | {"directory": Path(data["directory"])})


def qemu_argv(spec: MachineSpec, order: tuple[str, ...], qmp_fd: int, serial_fd: int) -> list[str]:
    """The command line that starts ``spec`` and boots its devices in ``order``.

    ``qmp_fd`` and ``serial_fd`` are inherited listening sockets for the monitor
    and the serial port: they exist before QEMU does, so nobody has to wait for
    them to appear.
    """
    return [
        spec.program,
        *("-name", escaped(spec.name), "-uuid", str(spec.uuid)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"),
        # A reset ends QEMU: its supervisor starts the next boot with a new order.
        "-no-reboot",
        *_board(spec),
        *("-accel", "kvm" if spec.accel == "kvm" else "tcg,thread=multi", "-cpu", "max"),
        *("-smp", str(spec.cpus), "-m", str(spec.memory)),
        *("-smbios", f"type=1,manufacturer=Drophammer,product=Lab,serial={escaped(spec.name)}"),
        *_network(spec, order),
        *("-drive", f"if=none,id=d0,file={escaped(spec.disk)},format=raw,cache=unsafe"),
        *("-device", f"virtio-blk-pci,id=disk0,drive=d0,serial=lab-disk-0{_boot(order, 'disk0')}"),
        *("-chardev", _serial(spec, serial_fd), "-serial", "chardev:serial"),
        *("-chardev", f"socket,id=qmp,fd={qmp_fd},server=on,wait=off"),
        *("-mon", "chardev=qmp,mode=control"),
    ]


def in_its_cage(spec: MachineSpec, argv: list[str]) -> list[str]:
    """``argv`` in the machine's network namespace, killed when its supervisor dies.

    Both wrappers replace themselves by what they start, so the process id is QEMU's.
    """
    if spec.namespace:
        argv = Namespace(spec.namespace).command(argv)
    return ["setpriv", "--pdeathsig", "KILL", "--", *argv]


def firmware_files(firmware: str, secure_boot: bool) -> tuple[Path, Path]:
    """(code, template of the variables) of OVMF; raises Unavailable when not installed."""
    flavour = ".ms" if secure_boot else ""
    code, variables = _OVMF / f"OVMF_CODE_4M{flavour}.fd", _OVMF / f"OVMF_VARS_4M{flavour}.fd"
    for file in (code, variables):
        if firmware == UEFI and not file.exists():
            raise errors.Unavailable(f"{file} is missing: install the package 'ovmf'")
    return code, variables


@functools.cache
def accelerator() -> str:
    """``kvm`` where a virtual CPU really runs, else ``tcg``.

    The CPU must have the flags: KVM without them exists and emulates real mode
    so badly that a boot loader stops it. The flags alone say too little in
    nested machines, so a BIOS is started and must speak.
    """
    if not re.search(r"^flags\b.*\b(vmx|svm)\b", _cpu_info(), re.MULTILINE):
        return "tcg"
    argv = ["qemu-system-x86_64", "-M", "pc,graphics=off", "-accel", "kvm", "-cpu", "max"]
    argv += ["-nodefaults", "-display", "none", "-vga", "none", "-m", "32", "-serial", "stdio"]
    try:
        probe = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return "tcg"
    deadline = threading.Timer(PROBE_SECONDS, probe.kill)
    deadline.start()
    try:
        assert probe.stdout is not None
        with probe.stdout as output:
            spoke = any(b"SeaBIOS" in line for line in output)
    finally:
        deadline.cancel()
        probe.kill()
        probe.wait()
    return "kvm" if spoke else "tcg"


def _cpu_info() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except FileNotFoundError:
        return ""


def _board(spec: MachineSpec) -> list[str]:
    if spec.firmware == BIOS:
        # Without graphics SeaBIOS and the PXE ROM write to the serial port.
        return ["-M", "pc,graphics=off"]
    code, _ = firmware_files(spec.firmware, spec.secure_boot)
    flash = "if=pflash,format=raw"
    board = ["-M", "q35,smm=on" if spec.secure_boot else "q35"]
    if spec.secure_boot:
        board += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        board += ["-global", "ICH9-LPC.disable_s3=1"]
    board += ["-drive", f"{flash},unit=0,readonly=on,file={code}"]
    return [*board, "-drive", f"{flash},unit=1,file={escaped(spec.firmware_variables)}"]


def _network(spec: MachineSpec, order: tuple[str, ...]) -> list[str]:
    backend = "user,id=n0,restrict=on"
    if spec.tap:
        backend = f"tap,id=n0,ifname={spec.tap},script=no,downscript=no"
    # An empty ROM file takes QEMU's iPXE away; OVMF then uses its own client.
    rom = ",romfile=" if spec.pxe_rom == "plain" else ""
    card = f"{NICS[spec.nic]},id=net0,netdev=n0,mac={spec.mac}{_boot(order, 'net0')}{rom}"
    return ["-netdev", backend, "-device", card]


def _boot(order: tuple[str, ...], device: str) -> str:
    return f",bootindex={order.index(device)}" if device in order else ""


def _serial(spec: MachineSpec, fd: int) -> str:
    log = f"logfile={escaped(spec.serial_log)},logappend=on"
    return f"socket,id=serial,fd={fd},server=on,wait=off,{log}"


def escaped(value: str | Path) -> str:
    """QEMU separates options by commas; a comma inside of a value is doubled."""
    return str(value).replace(",", ",,")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise errors.Invalid(f"{value!r} is no {what} of the lab; known: {', '.join(known)}")
