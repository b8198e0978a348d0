"""The conductor's way to its BMCs: one method per IPMI action, safe from any thread.

The work is done in child processes, each BMC always in the same one. No method
waits for a machine to reach a power state: they return when the BMC has accepted.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from conductor import guard, metrics
from conductor.ipmi import commands, failures
from conductor.ipmi.commands import BootDevice, DeviceInfo, Garbled, PowerState, Step
from conductor.ipmi.keeper import Keeper
from conductor.ipmi.protocol import Failure, Repeat
from conductor.ipmi.target import BmcTarget

_T = TypeVar("_T")

WORKER_COMMAND = (sys.executable, "-m", "conductor.ipmi.worker")
# All that a child needs: how to find programs, libraries, names and the time zone.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "RES_OPTIONS", "LOCALDOMAIN",
                "HOSTALIASES", "VIRTUAL_ENV")  # fmt: skip


class IpmiPool:
    """Child processes that talk IPMI. They start with the first request that needs them.

    ``workers``: child processes. ``request_deadline``: seconds for one request,
    name resolution and log-in included; a caller never waits more than a second
    longer. ``min_interval``: seconds between two requests to one BMC. ``command``
    starts a child.

    All methods that talk to a BMC raise BmcUnreachable, BmcAuthFailed or BmcError; and
    LeaseLost when the lease that this thread works under is no longer sure (``guard``).
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        request_deadline: float = 10.0,
        min_interval: float = 0.0,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        if workers < 1 or request_deadline < 1 or min_interval < 0:
            raise ValueError("an IPMI pool needs a worker, a deadline of a second, and patience")
        environment = _environment()
        self._deadline = request_deadline
        self._keepers = [
            Keeper(f"ipmi-{index}", command, environment, min_interval) for index in range(workers)
        ]

    def get_power(self, target: BmcTarget) -> PowerState:
        """Asks for the chassis' power: "power on" or "power off"."""
        tried = "power status"
        (answer,) = self._ask(tried, target, (commands.GET_CHASSIS_STATUS,), "always")
        return self._read(tried, target, commands.power_state, answer)

    def set_power(self, target: BmcTarget, action: str) -> None:
        """Sends one of on, off, reset, cycle, soft, diag; returns when the BMC has accepted.

        The command is sent once to the machine: when it is not known whether it
        arrived, BmcUnreachable says so. Raises Invalid for another action.
        """
        step = commands.chassis_control(action)
        repeat: Repeat = "session" if commands.is_harmless_twice(action) else "never"
        self._ask(f"power {action}", target, (step,), repeat)

    def get_boot_device(self, target: BmcTarget) -> BootDevice:
        """The boot override that the BMC holds."""
        tried = "get boot device"
        (answer,) = self._ask(tried, target, (commands.GET_BOOT_FLAGS,), "always")
        return self._read(tried, target, commands.boot_device, answer)

    def set_boot_device(
        self,
        target: BmcTarget,
        device: str,
        *,
        persistent: bool,
        uefi: bool,
        disable_timeout: bool = True,
    ) -> None:
        """Sets the boot override to pxe, disk, cdrom, bios or safe.

        With ``disable_timeout`` the BMC is told to keep it even when no boot
        follows within 60 seconds. Raises Invalid for another device.
        """
        flags = commands.set_boot_flags(device, persistent=persistent, uefi=uefi)
        steps = (commands.keep_boot_flags(), flags) if disable_timeout else (flags,)
        self._ask(f"set boot device {device}", target, steps, "always")

    def raw(self, target: BmcTarget, netfn: int, command: int, data: bytes = b"") -> bytes:
        """Sends any command once; returns the data after the completion code.

        Raises Invalid when the numbers do not fit IPMI's fields.
        """
        step = commands.raw(netfn, command, data)
        tried = f"raw command 0x{netfn:02x} 0x{command:02x}"
        (answer,) = self._ask(tried, target, (step,), "never")
        return answer

    def identify(self, target: BmcTarget) -> DeviceInfo:
        """Firmware and maker of the BMC. Logs in, so it proves address and credentials."""
        tried = "get device id"
        (answer,) = self._ask(tried, target, (commands.GET_DEVICE_ID,), "always")
        return self._read(tried, target, commands.device_info, answer)

    def pids(self) -> list[int]:
        """Process ids of the children that run now, for monitoring."""
        return [keeper.pid for keeper in self._keepers if keeper.pid is not None]

    def close(self) -> None:
        """Ends the children, within about a second. Requests in flight fail."""
        for keeper in self._keepers:
            keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, tried: str, target: BmcTarget, steps: tuple[Step, ...], repeat: Repeat
    ) -> tuple[bytes, ...]:
        seconds = guard.seconds_left(self._deadline)
        # The numbers of a raw command are any number.
        command = "raw command" if tried.startswith("raw command") else tried
        with metrics.timed(metrics.BMC_CALLS, command):
            outcome = self._keeper_of(target).ask(target, steps, repeat, seconds)
            if isinstance(outcome, Failure):
                guard.seconds_left(seconds)  # Was the lease what ended it?
                raise failures.error(tried, target, outcome)
        return outcome

    def _read(
        self, tried: str, target: BmcTarget, decode: Callable[[bytes], _T], answer: bytes
    ) -> _T:
        try:
            return decode(answer)
        except Garbled as problem:
            failure = Failure("trouble", f"the answer makes no sense: {problem}")
            raise failures.error(tried, target, failure) from None

    def _keeper_of(self, target: BmcTarget) -> Keeper:
        bmc = f"{target.address.lower()}:{target.port}"
        return self._keepers[worker_of(bmc, len(self._keepers))]


def worker_of(bmc: str, workers: int) -> int:
    """Rendezvous hashing: most BMCs keep their worker when the number of workers changes."""

    def weight(worker: int) -> bytes:
        return hashlib.blake2b(f"{worker}|{bmc}".encode(), digest_size=8).digest()

    return max(range(workers), key=weight)


def _environment() -> dict[str, str]:
    """The children's environment, without what is in the conductor's for other purposes."""
    found = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**found, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
