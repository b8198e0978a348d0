"""One virtual machine's power: starting, stopping, resetting a QEMU process.

While a machine runs, its QEMU always holds the order of the *next* boot, so a
reset from outside and a reboot by the guest take the same path and a one-time
override is used once. The end of the process is noticed by waiting on it.
Knows nothing of IPMI.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from drophammer import errors
from lab import bootflags, hardware, processes, qmp

DISK_MIB = 5 * 1024
READY_SECONDS = 15.0
EXIT_SECONDS = 10.0
_SOCKET_PATH_LIMIT = 107


class PoweredOff(errors.HardwareError):
    """The request makes sense for a running machine only."""


class Machine:
    """Power over one machine.

    ``power_on`` must be called by a thread that lives as long as the machine
    (in practice the main one): the kernel kills QEMU when that thread ends.
    """

    def __init__(
        self,
        spec: hardware.MachineSpec,
        boot: bootflags.BootFlags,
        on_power: Callable[[bool], None] = lambda on: None,
    ) -> None:
        self.spec = spec
        self._boot = boot
        self._on_power = on_power
        self._run: _Run | None = None

    @property
    def is_on(self) -> bool:
        return self._run is not None and not self._run.gone.is_set()

    def power_on(self) -> None:
        """Start QEMU; nothing happens when it already runs. Raises HardwareError."""
        if self.is_on:
            return
        self._run = _Run(self.spec, self._boot, self._on_power)

    def power_off(self) -> None:
        """Cut the power: the machine is off when this returns."""
        if self._run is not None:
            self._run.kill()

    def power_cycle(self) -> None:
        """Off and on again. Raises PoweredOff when it is off."""
        self._running().kill()
        self.power_on()

    def reset(self) -> None:
        """Restart the firmware with the boot order that holds now."""
        self._running().command("system_reset")

    def press_power_button(self) -> None:
        """Ask the guest by ACPI to shut down; it may take its time or refuse."""
        self._running().command("system_powerdown")

    def interrupt(self) -> None:
        """Send a non-maskable interrupt to the guest."""
        self._running().command("inject-nmi")

    def boot_flags_changed(self) -> None:
        """Hand the new order to a running machine, for its next reset."""
        if self._run is not None and self.is_on:
            self._run.plug_next_boot(wait=True)

    def _running(self) -> _Run:
        if self._run is None or self._run.gone.is_set():
            raise PoweredOff(f"{self.spec.name} is powered off")
        return self._run


class _Run:
    """One life of a QEMU process, from power on to off."""

    def __init__(
        self,
        spec: hardware.MachineSpec,
        boot: bootflags.BootFlags,
        on_power: Callable[[bool], None],
    ) -> None:
        self._spec = spec
        self._boot = boot
        self._on_power = on_power
        self.gone = threading.Event()
        self._ready = threading.Event()
        self._monitor: qmp.Monitor | None = None
        self._plugging = threading.Lock()
        order, self._plugged = boot.next_boot()
        self._highest = len(order) - 1
        self._process = _spawn(spec, order)
        boot.consume(self._plugged)
        processes.record(spec.directory / "qemu.pid", self._process.pid)
        on_power(True)
        threading.Thread(target=self._keep, name=f"keep-{spec.name}", daemon=True).start()

    def kill(self) -> None:
        """End QEMU at once. Raises HardwareError when even that does not work."""
        self._process.send_signal(signal.SIGKILL)
        if not self.gone.wait(EXIT_SECONDS):
            raise errors.HardwareError(
                f"{self._spec.name}: QEMU process {self._process.pid} does not end"
            )

    def command(self, name: str) -> None:
        """Run a monitor command once the monitor is there."""
        self._wait_for_monitor().execute(name)

    def plug_next_boot(self, wait: bool) -> None:
        """Give QEMU the order of the next boot."""
        monitor = self._wait_for_monitor() if wait else self._monitor
        if monitor is None:
            return
        # An order that was read first must not be handed over last.
        with self._plugging:
            pending = self._submit_order(monitor)
        if wait and not pending.done.wait(qmp.ANSWER_SECONDS):
            raise errors.HardwareError(f"{self._spec.name}: QEMU took no boot order in time")
        if wait and pending.error:
            raise errors.HardwareError(f"{self._spec.name}: boot order: {pending.error}")

    def _submit_order(self, monitor: qmp.Monitor) -> qmp.Pending:
        order, generation = self._boot.next_boot()
        *first, last = hardware.replug_commands(order, self._highest)
        self._highest += len(order) - 1

        def plugged() -> None:
            self._plugged = generation

        for name, arguments in first:
            monitor.submit(name, arguments)
        return monitor.submit(*last, then=plugged)

    def _wait_for_monitor(self) -> qmp.Monitor:
        if not self._ready.wait(READY_SECONDS) or self._monitor is None:
            raise errors.HardwareError(
                f"{self._spec.name}: QEMU does not answer; see {self._spec.qemu_log}"
            )
        return self._monitor

    def _keep(self) -> None:
        """Follow the process: its monitor first, then its end."""
        try:
            self._monitor = qmp.Monitor(self._spec.qmp_socket, self._event)
            self._monitor.run(self._monitor_ready)
        except (OSError, ValueError):
            # Only a QEMU that is ending closes or garbles its monitor.
            pass
        finally:
            self._process.wait()
            (self._spec.directory / "qemu.pid").unlink(missing_ok=True)
            self.gone.set()
            self._ready.set()
            self._on_power(False)

    def _monitor_ready(self) -> None:
        self.plug_next_boot(wait=False)
        self._ready.set()

    def _event(self, name: str, data: dict[str, object]) -> None:
        if name == "RESET":
            self._boot.consume(self._plugged)
            self.plug_next_boot(wait=False)


def prepare(spec: hardware.MachineSpec, disk_mib: int = DISK_MIB) -> None:
    """Make the machine's directory, empty disk and firmware variables.

    Raises Invalid when the directory's name is too long for a unix socket.
    """
    if len(os.fsencode(spec.serial_socket)) > _SOCKET_PATH_LIMIT:
        raise errors.Invalid(
            f"{spec.serial_socket} is too long for a unix socket "
            f"({_SOCKET_PATH_LIMIT} bytes): choose a shorter state directory"
        )
    spec.directory.mkdir(parents=True, exist_ok=True)
    with open(spec.disk, "xb") as disk:
        disk.truncate(disk_mib * 1024 * 1024)
    spec.serial_log.touch()
    _code, variables = hardware.firmware_files(spec.firmware, spec.secure_boot)
    if spec.firmware == hardware.UEFI:
        shutil.copyfile(variables, spec.firmware_variables)


def _spawn(spec: hardware.MachineSpec, order: tuple[str, ...]) -> subprocess.Popen[bytes]:
    with (
        _listening(spec.qmp_socket) as monitor,
        _listening(spec.serial_socket) as serial,
        open(spec.qemu_log, "ab") as log,
    ):
        argv = hardware.qemu_argv(spec, order, monitor.fileno(), serial.fileno())
        try:
            return subprocess.Popen(
                hardware.in_its_cage(spec, argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[monitor.fileno(), serial.fileno()],
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise errors.Unavailable(
                f"{error.filename} is missing: install the package 'util-linux'"
            ) from error


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    listener.listen(1)
    return listener
