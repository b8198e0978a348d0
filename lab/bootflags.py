"""What a machine boots next: the controller's boot flags and the device order they mean.

The five bytes of boot option parameter 5 (IPMI 2.0, table 28-14) are kept as
they were written, so that everything a client set can be read back. Nothing
here talks to a machine.
"""

from __future__ import annotations

import threading

NET = "net0"
DISK = "disk0"
DEFAULT_ORDER = (DISK, NET)

_VALID = 0x80
_PERSISTENT = 0x40
_DEVICE_ORDERS = {0: DEFAULT_ORDER, 1: (NET, DISK), 2: (DISK, NET)}


class UnknownBootDevice(ValueError):
    """The flags name a device that a lab machine does not have."""


class BootFlags:
    """Boot flags of one controller; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._raw = bytes(5)

    @property
    def raw(self) -> bytes:
        """The five bytes of parameter 5 as they read now."""
        with self._lock:
            return self._raw

    def set(self, raw: bytes) -> None:
        """Take over parameter 5 (5 bytes; missing ones count as 0).

        Raises UnknownBootDevice for a device a lab machine does not have.
        """
        raw = bytes(raw[:5]).ljust(5, b"\0")
        device = device_of(raw)
        if device not in _DEVICE_ORDERS:
            raise UnknownBootDevice(f"boot device {device} is not one of {sorted(_DEVICE_ORDERS)}")
        with self._lock:
            self._raw = raw

    def take(self) -> tuple[str, ...]:
        """The device order of a boot that begins now; a one-time override ends with it."""
        with self._lock:
            raw = self._raw
            if not raw[0] & _VALID:
                return DEFAULT_ORDER
            if not raw[0] & _PERSISTENT:
                self._raw = bytes(5)
            return _DEVICE_ORDERS[device_of(raw)]


def device_of(raw: bytes) -> int:
    """The boot device selector of parameter 5: 1 is the network, 2 the disk."""
    return (raw[1] >> 2) & 0x0F
