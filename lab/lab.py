"""A lab: several virtual machines with their controllers on one isolated network.

Puts the parts together, remembers them in a state file, and takes them down
again, also from another process and after a crash. Makes no call to the API.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import secrets
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from drophammer import errors
from lab import faults, files, hardware, machine, network, processes, supervisor

STATE_DIR = Path("/var/lib/drophammer/lab")
STATE_FILE = "lab.json"
USERNAME = "admin"
PASSWORD_FILE = "bmc-password"
ENROLMENT_FILE = "enrol.json"
SERVICE_DIR = "service"
# Who keeps state in a folder holds a lock on this file in it, with the process id for content.
SERVICE_LOCK = "lock"
MAX_MACHINES = 99
START_SECONDS = 20.0
STOP_SECONDS = 15.0

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
_PROGRAMS = {
    "ip": "iproute2",
    "setpriv": "util-linux",
    "qemu-system-x86_64": "qemu-system-x86",
}


@dataclasses.dataclass(frozen=True)
class LabMachine:
    """One machine of a lab, as its user needs it."""

    name: str
    mac: str
    bmc_address: str
    bmc_port: int
    bmc_username: str
    bmc_password_file: Path
    serial_log: Path
    serial_socket: Path
    disk: Path
    directory: Path
    firmware: str

    @property
    def is_on(self) -> bool:
        """Whether its QEMU runs, without asking the controller."""
        qemu = processes.recorded(self.directory / machine.PID_FILE)
        return qemu is not None and qemu.alive

    @property
    def bmc_is_up(self) -> bool:
        """Whether the process of its controller runs."""
        bmc = processes.recorded(self.directory / supervisor.PID_FILE)
        return bmc is not None and bmc.alive

    @property
    def enrolment_file(self) -> Path:
        """A description of node and port for ``baremetal create``; it holds the password."""
        return self.directory / ENROLMENT_FILE

    def enrolment(self) -> dict[str, Any]:
        """What ``enrolment_file`` says, as python-ironicclient's resource files want it."""
        node = {
            "name": self.name,
            "driver": "ipmi",
            "driver_info": {
                "ipmi_address": self.bmc_address,
                "ipmi_port": self.bmc_port,
                "ipmi_username": self.bmc_username,
                "ipmi_password": self.bmc_password_file.read_text().strip(),
            },
            "ports": [{"address": self.mac}],
        }
        return {"nodes": [node]}

    def break_bmc(self, switches: faults.Faults) -> None:
        """Turn the fault switches of its controller; ``Faults()`` repairs it."""
        faults.write(self.directory, switches)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What ``Lab.up`` is to make.

    ``memory`` is in MiB, ``disk`` in MiB (files are sparse). ``bmc_port`` 0
    takes free ports; else it is the first machine's. With
    ``bmc_per_address`` machine N listens on 127.0.1.N and all on one port.
    """

    nodes: int = 1
    firmware: str = hardware.BIOS
    secure_boot: bool = False
    pxe_rom: str = "ipxe"
    nic: str = "virtio"
    memory: int = 512
    cpus: int = 1
    disk: int = machine.DISK_MIB
    accel: str = ""
    bmc_port: int = 0
    bmc_per_address: bool = False
    addresses: network.Addresses = dataclasses.field(default_factory=network.Addresses)

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= MAX_MACHINES:
            raise errors.Invalid(f"a lab has 1 to {MAX_MACHINES} machines, not {self.nodes}")
        if not 0 <= self.bmc_port <= 65535 - MAX_MACHINES:
            raise errors.Invalid(f"{self.bmc_port} cannot be the first port of the controllers")
        if self.memory < 160:
            raise errors.Invalid("a machine needs 160 MiB of memory or more")
        if self.disk < 64:
            raise errors.Invalid("a machine's disk needs 64 MiB or more")

    def bmc_at(self, number: int) -> tuple[str, int]:
        """Address and port of the controller of machine ``number`` (from 1); port 0 is any."""
        if self.bmc_per_address:
            return f"127.0.1.{number}", self.bmc_port
        return "127.0.0.1", self.bmc_port and self.bmc_port + number - 1


class Lab:
    """The lab called ``name``, with all its files in ``state_dir / name``.

    Use as a context manager to be sure that nothing stays behind.
    """

    def __init__(self, name: str, state_dir: Path = STATE_DIR) -> None:
        if not _NAME.fullmatch(name):
            raise errors.Invalid(
                f"{name!r} cannot name a lab: use up to 20 small letters, digits and '-'"
            )
        self.name = name
        self.directory = Path(os.path.abspath(state_dir)) / name
        self.namespace = network.namespace_of(name)
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down(force=True)

    @property
    def service_dir(self) -> Path:
        """Where a service for this lab keeps its state; it goes with the lab."""
        return self.directory / SERVICE_DIR

    @property
    def is_up(self) -> bool:
        return (self.directory / STATE_FILE).exists()

    @property
    def machines(self) -> list[LabMachine]:
        """The machines in the order of their numbers. Raises NotFound when the lab is not up."""
        try:
            state = json.loads((self.directory / STATE_FILE).read_text())
        except FileNotFoundError as error:
            raise errors.NotFound(f"there is no lab {self.name!r} in {self.directory}") from error
        return [self._machine(one) for one in state["machines"]]

    def machine(self, name: str) -> LabMachine:
        """The machine called ``name``; raises NotFound with the names there are."""
        machines = self.machines
        for one in machines:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in machines)
        raise errors.NotFound(f"lab {self.name!r} has no machine {name!r}; there are: {names}")

    def up(self, plan: Plan | None = None, **changes: Any) -> list[LabMachine]:
        """Make network, machines (powered off, empty disks) and controllers.

        Takes a ``Plan`` or its fields. All or nothing: after an error nothing
        is left. Raises Conflict when the lab is up, Forbidden without root,
        Unavailable for what this host lacks.
        """
        plan = dataclasses.replace(plan or Plan(), **changes)
        network.check()
        _check_programs()
        hardware.firmware_files(plan.firmware, plan.secure_boot)
        with self._lock():
            if self.is_up:
                raise errors.Conflict(
                    f"lab {self.name!r} is up already; take it down first "
                    f"(drophammer lab down --name {self.name})"
                )
            self._refuse_under_service()
            self._clear()
            try:
                self._build(plan)
            except BaseException:
                self._clear()
                shutil.rmtree(self.directory)
                raise
        return self.machines

    def down(self, force: bool = False) -> bool:
        """End all processes of the lab and remove its network and its files.

        May be called at any time and again; also removes what a crash left.
        Returns whether there was anything. Raises Conflict while a service
        keeps its state here, unless ``force`` is given: the state is lost.
        """
        there = self.directory.exists() or network.exists(self.namespace)
        if there:
            if not force:
                self._refuse_under_service()
            with self._lock():
                self._clear()
                shutil.rmtree(self.directory)
        self._reap()
        return there

    def _refuse_under_service(self) -> None:
        try:
            with open(self.service_dir / SERVICE_LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return
        except BlockingIOError as error:
            pid = (self.service_dir / SERVICE_LOCK).read_text().strip() or "unknown"
            raise errors.Conflict(
                f"a service (process {pid}) keeps its state in {self.service_dir}, which goes with "
                f"lab {self.name!r}: stop it first, or lose that state "
                f"(drophammer lab down --name {self.name} --force)"
            ) from error

    # -- building -----------------------------------------------------------

    def _build(self, plan: Plan) -> None:
        accel = plan.accel or hardware.accelerator()
        specs = [self._spec(plan, number, accel) for number in range(1, plan.nodes + 1)]
        network.up(self.namespace, plan.nodes, plan.addresses)
        for number, spec in enumerate(specs, start=1):
            machine.prepare(spec, plan.disk)
            spec_file = spec.directory / supervisor.SPEC_FILE
            files.write_whole(spec_file, json.dumps(spec.to_json(), indent=1))
            files.write_whole(spec.directory / PASSWORD_FILE, secrets.token_urlsafe(12) + "\n")
            self._children.append(_start_supervisor(spec, *plan.bmc_at(number)))
        state: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
            "addresses": dataclasses.asdict(plan.addresses),
            "machines": [
                {"spec": spec.to_json(), "bmc": _answer_of(spec, process)}
                for spec, process in zip(specs, self._children, strict=True)
            ],
        }
        for one in map(self._machine, state["machines"]):
            files.write_whole(one.enrolment_file, json.dumps(one.enrolment(), indent=1) + "\n")
        files.write_whole(self.directory / STATE_FILE, json.dumps(state, indent=1) + "\n")

    def _spec(self, plan: Plan, number: int, accel: str) -> hardware.MachineSpec:
        name = f"node-{number}"
        return hardware.MachineSpec(
            name=name,
            directory=self.directory / name,
            mac=f"52:54:00:22:00:{number:02x}",
            namespace=self.namespace,
            tap=network.tap_of(number),
            firmware=plan.firmware,
            secure_boot=plan.secure_boot,
            pxe_rom=plan.pxe_rom,
            nic=plan.nic,
            memory=plan.memory,
            cpus=plan.cpus,
            accel=accel,
        )

    def _machine(self, state: dict[str, Any]) -> LabMachine:
        spec = hardware.MachineSpec.from_json(state["spec"])
        return LabMachine(
            name=spec.name,
            mac=spec.mac,
            bmc_address=state["bmc"]["address"],
            bmc_port=state["bmc"]["port"],
            bmc_username=USERNAME,
            bmc_password_file=spec.directory / PASSWORD_FILE,
            serial_log=spec.serial_log,
            serial_socket=spec.serial_socket,
            disk=spec.disk,
            directory=spec.directory,
            firmware=spec.firmware,
        )

    # -- clearing -----------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One program at a time may build or clear a lab."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.directory / "lock", "w", opener=files.private) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise errors.Conflict(
                    f"another program is building or clearing lab {self.name!r}"
                ) from error
            yield

    def _clear(self) -> None:
        """Processes first, then the network they sit in, then the files."""
        for one in self._processes():
            if not one.end(STOP_SECONDS):
                raise errors.Unavailable(f"process {one.pid} of lab {self.name!r} does not end")
        self._reap()
        network.down(self.namespace)
        for entry in self.directory.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def _reap(self) -> None:
        """Collect the controllers that this program itself had started."""
        for child in self._children:
            if child.stdout is not None:
                child.stdout.close()
            child.wait()
        self._children.clear()

    def _processes(self) -> Iterator[processes.Process]:
        """Controllers first: they end their QEMU themselves. Then whoever is left."""
        for name in (supervisor.PID_FILE, machine.PID_FILE):
            for file in sorted(self.directory.glob(f"*/{name}")):
                if (process := processes.recorded(file)) is not None:
                    yield process
        for process, arguments in processes.all_running():
            if _is_ours(arguments, self.directory):
                yield process


def _is_ours(arguments: list[str], directory: Path) -> bool:
    """Whether a command line is a controller or a QEMU of the lab in ``directory``."""
    program = os.path.basename(arguments[0]) if arguments else ""
    if "lab.supervisor" in arguments:
        return any(Path(argument).parent == directory for argument in arguments)
    file = f"={hardware.escaped(directory)}/"
    return program.startswith("qemu-system") and any(file in one for one in arguments)


def _check_programs() -> None:
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise errors.Unavailable(f"'{program}' is missing: install the package '{package}'")


def _start_supervisor(
    spec: hardware.MachineSpec, address: str, port: int
) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "lab.supervisor", str(spec.directory)]
    argv += ["--address", address, "--port", str(port), "--username", USERNAME]
    argv += ["--password-file", str(spec.directory / PASSWORD_FILE)]
    with open(spec.directory / "bmc.log", "ab", opener=files.private) as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            # Out of our process group: Ctrl-C must reach us, who clean up, and not them.
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
    processes.record(spec.directory / supervisor.PID_FILE, process.pid)
    return process


def _answer_of(spec: hardware.MachineSpec, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a supervisor says about its controller; raises Unavailable with its reason."""
    assert process.stdout is not None
    with process.stdout as output:
        ready, _, _ = select.select([output], [], [], START_SECONDS)
        line = output.readline() if ready else b""
    if not line:
        log = (spec.directory / "bmc.log").read_text(errors="replace").strip()
        raise errors.Unavailable(f"the controller of {spec.name} did not start: {log[-2000:]}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        process.wait()
        raise errors.Conflict(f"the controller of {spec.name} cannot listen: {answer['error']}")
    return answer
