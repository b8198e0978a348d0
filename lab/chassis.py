"""The chassis commands of a virtual controller: power and boot options (IPMI 2.0, chapter 28).

Turns the bytes of a request into a verb on the machine and gives the
completion code and the bytes of the answer. Knows nothing of the network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from drophammer import errors
from lab import bootflags, faults, machine

LOG = logging.getLogger(__name__)

Answer = tuple[int, bytes]

OK = 0x00
PARAMETER_NOT_SUPPORTED = 0x80
INVALID_COMMAND = 0xC1
INVALID_LENGTH = 0xC7
INVALID_FIELD = 0xCC
NOT_SUPPORTED_NOW = 0xD5
UNSPECIFIED = 0xFF

_BOOT_FLAGS = 5
# Set in progress, valid-bit clearing, boot info acknowledge: kept, without effect.
_KEPT_PARAMETERS = {0: b"\0", 3: b"\0", 4: b"\0\0"}


class Chassis:
    """The chassis behind one controller."""

    def __init__(
        self,
        the_machine: machine.Machine,
        flags: bootflags.BootFlags,
        fault_switches: faults.FaultFile,
    ) -> None:
        self._machine = the_machine
        self._flags = flags
        self._faults = fault_switches
        self._parameters = dict(_KEPT_PARAMETERS)
        self._commands: dict[int, Callable[[bytes], Answer]] = {
            0x01: self._status,
            0x02: self._control,
            0x08: self._set_boot_options,
            0x09: self._get_boot_options,
        }

    def answer(self, command: int, data: bytes) -> Answer:
        """Run chassis command ``command``: (completion code, data)."""
        handler = self._commands.get(command)
        if handler is None:
            return INVALID_COMMAND, b""
        if not data and handler != self._status:
            return INVALID_LENGTH, b""
        try:
            return handler(data)
        except machine.PoweredOff:
            return NOT_SUPPORTED_NOW, b""
        except errors.DrophammerError as error:
            # IPMI has no room for a sentence: the log has it, the client a code.
            LOG.error("%s", error)
            return UNSPECIFIED, b""

    def _status(self, _data: bytes) -> Answer:
        """Get chassis status (28.2)."""
        return OK, bytes([int(self._machine.is_on), 0, 0])

    def _control(self, data: bytes) -> Answer:
        """Chassis control (28.3)."""
        actions = {
            0: self._machine.power_off,
            1: self._machine.power_on,
            2: self._machine.power_cycle,
            3: self._machine.reset,
            4: self._machine.interrupt,
            5: self._machine.press_power_button,
        }
        wanted = data[0] & 0x0F
        if wanted not in actions:
            return INVALID_FIELD, b""
        if wanted in (1, 2) and self._faults.now().refuse_power_on:
            return NOT_SUPPORTED_NOW, b""
        actions[wanted]()
        return OK, b""

    def _set_boot_options(self, data: bytes) -> Answer:
        """Set system boot options (28.12); parameter 5 are the boot flags."""
        parameter, value = data[0] & 0x7F, data[1:]
        if parameter in self._parameters:
            self._parameters[parameter] = value or self._parameters[parameter]
            return OK, b""
        if parameter != _BOOT_FLAGS:
            return PARAMETER_NOT_SUPPORTED, b""
        if not value:
            return OK, b""
        try:
            self._flags.set(value)
        except bootflags.UnknownBootDevice:
            return INVALID_FIELD, b""
        return OK, b""

    def _get_boot_options(self, data: bytes) -> Answer:
        """Get system boot options (28.13)."""
        parameter = data[0] & 0x7F
        value = self._flags.raw if parameter == _BOOT_FLAGS else self._parameters.get(parameter)
        if value is None:
            return PARAMETER_NOT_SUPPORTED, b""
        return OK, bytes([1, parameter]) + value
