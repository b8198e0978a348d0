"""One virtual machine's power: starting, stopping, resetting a QEMU process.

Each boot is a QEMU process of its own, with the device order of that boot on
its command line: a reset, from outside or by the guest, starts the next one.
(Changing the order of a running QEMU cannot be exact: SeaBIOS resets the
machine again on its way up, so resets cannot be told from boots.) The end of a
process is noticed by waiting on it. Knows nothing of IPMI.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from drophammer import errors
from lab import bootflags, files, hardware, processes, qmp

DISK_MIB = 5 * 1024
PID_FILE = "qemu.pid"
PATIENCE_SECONDS = 15.0
_SOCKET_PATH_LIMIT = 107


class PoweredOff(errors.HardwareError):
    """The request makes sense for a running machine only."""


class Machine:
    """Power over one machine. ``on_change`` is told in words, on any thread."""

    def __init__(
        self,
        spec: hardware.MachineSpec,
        boot: bootflags.BootFlags,
        on_change: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.spec = spec
        self._boot = boot
        self._on_change = on_change
        self._run: _Run | None = None

    @property
    def is_on(self) -> bool:
        return self._run is not None and not self._run.gone

    def power_on(self) -> None:
        """Start QEMU; nothing happens when it already runs. Raises HardwareError."""
        if not self.is_on:
            self._run = _Run(self.spec, self._boot, self._on_change)
            self._run.start()

    def power_off(self) -> None:
        """Cut the power: the machine is off when this returns."""
        if self._run is not None:
            self._run.end()

    def power_cycle(self) -> None:
        """Off and on again. Raises PoweredOff when it is off."""
        self._running().end()
        self.power_on()

    def reset(self) -> None:
        """Restart the firmware with the boot order that holds now."""
        self._running().restart()

    def press_power_button(self) -> None:
        """Ask the guest by ACPI to shut down; it may take its time or refuse."""
        self._running().command("system_powerdown")

    def interrupt(self) -> None:
        """Send a non-maskable interrupt to the guest."""
        self._running().command("inject-nmi")

    def _running(self) -> _Run:
        if self._run is None or self._run.gone:
            raise PoweredOff(f"{self.spec.name} is powered off")
        return self._run


class _Run:
    """One time of being powered on: boots until the power is cut or the guest powers off.

    A thread of its own starts the processes and lives as long as they may,
    because the kernel kills QEMU when the thread that started it ends.
    """

    def __init__(
        self,
        spec: hardware.MachineSpec,
        boot: bootflags.BootFlags,
        on_change: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._boot = boot
        self._on_change = on_change
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: qmp.Monitor | None = None
        self._boots = 0
        self._again = False
        self._ending = False
        self._failure: Exception | None = None
        self.gone = False

    def start(self) -> None:
        """Begin the first boot. Raises HardwareError when it cannot."""
        threading.Thread(target=self._keep, name=f"keep-{self._spec.name}", daemon=True).start()
        self._wait_for(lambda: self._boots > 0, "QEMU does not start")

    def end(self) -> None:
        """Cut the power. Raises HardwareError when even that does not work."""
        with self._changed:
            self._ending = True
            if self._process is not None:
                self._process.kill()
        self._wait_for(lambda: self.gone, "QEMU does not end")

    def restart(self) -> None:
        """End this boot and begin the next one."""
        with self._changed:
            before = self._boots
            self._again = True
            if self._process is not None:
                self._process.kill()
        self._wait_for(lambda: self._boots > before, "QEMU does not start again")

    def command(self, name: str) -> None:
        """Run a monitor command once the monitor is there."""
        self._wait_for(lambda: self._monitor is not None, "QEMU does not answer")
        monitor = self._monitor
        if monitor is None:
            raise PoweredOff(f"{self._spec.name} is powered off")
        monitor.execute(name)

    def _wait_for(self, condition: Callable[[], bool], otherwise: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: condition() or self.gone, PATIENCE_SECONDS)
            if condition():
                return
            why = self._failure or f"see {self._spec.qemu_log}"
            raise errors.HardwareError(f"{self._spec.name}: {otherwise}: {why}")

    def _keep(self) -> None:
        try:
            while self._begin():
                self._follow()
        except (OSError, errors.DrophammerError) as error:
            self._failure = error
        finally:
            (self._spec.directory / PID_FILE).unlink(missing_ok=True)
            with self._changed:
                self.gone = True
                self._changed.notify_all()
            self._on_change("is off")

    def _begin(self) -> bool:
        """Start the next boot, unless there is none."""
        with self._changed:
            if self._ending or (self._boots and not self._again):
                return False
            self._again = False
            order = self._boot.take()
            self._process = _spawn(self._spec, order)
            processes.record(self._spec.directory / PID_FILE, self._process.pid)
            self._boots += 1
            self._changed.notify_all()
        self._on_change(f"boots from {', '.join(order)}")
        return True

    def _follow(self) -> None:
        """Listen to the monitor until QEMU closes it, then wait for the process."""
        assert self._process is not None
        try:
            monitor = qmp.Monitor(self._spec.qmp_socket, self._event)
            monitor.run(lambda: self._set_monitor(monitor))
        except (OSError, ValueError):
            pass  # only a QEMU that is ending closes or garbles its monitor
        finally:
            self._set_monitor(None)
            self._process.wait()

    def _set_monitor(self, monitor: qmp.Monitor | None) -> None:
        with self._changed:
            self._monitor = monitor
            self._changed.notify_all()

    def _event(self, name: str, data: dict[str, object]) -> None:
        if name == "SHUTDOWN" and str(data.get("reason", "")).endswith("reset"):
            self._again = True


def prepare(spec: hardware.MachineSpec, disk_mib: int = DISK_MIB) -> None:
    """Make the machine's directory, empty disk and firmware variables, for their owner alone.

    Raises Invalid when the directory's name is too long for a unix socket.
    """
    if len(os.fsencode(spec.serial_socket)) > _SOCKET_PATH_LIMIT:
        raise errors.Invalid(
            f"{spec.serial_socket} is too long for a unix socket "
            f"({_SOCKET_PATH_LIMIT} bytes): choose a shorter state directory"
        )
    spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(spec.disk, "xb", opener=files.private) as disk:
        disk.truncate(disk_mib * 1024 * 1024)
    spec.serial_log.touch(mode=0o600)
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
