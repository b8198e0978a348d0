"""Asks the machine's own BMC for its network address, through /dev/ipmi0.

One IPMI command, Get LAN Configuration Parameters (IPMI 2.0 section 23.2), over
the kernel's interface (linux/ipmi.h). A machine without a BMC, or a ramdisk
without the driver, gives nulls.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

_NETFN_TRANSPORT = 0x0C
_GET_LAN_CONFIGURATION = 0x02
_PARAMETER_ADDRESS, _PARAMETER_MAC = 3, 5
_TIMEOUT_SECONDS = 2.0


def bmc_addresses(device: str = "/dev/ipmi0") -> Json:
    """``{bmc_address, bmc_v6address, bmc_mac}``; each null where it cannot be known."""
    found: Json = {"bmc_address": None, "bmc_v6address": None, "bmc_mac": None}
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return found
    try:
        for channel in range(1, 12):
            address = _lan_parameter(fd, channel, _PARAMETER_ADDRESS, 4)
            if address and any(address):
                mac = _lan_parameter(fd, channel, _PARAMETER_MAC, 6)
                found["bmc_address"] = socket.inet_ntoa(address)
                found["bmc_mac"] = mac.hex(":") if mac else None
                break
    finally:
        os.close(fd)
    return found


def _lan_parameter(fd: int, channel: int, parameter: int, size: int) -> bytes | None:
    answer = _ask(fd, _NETFN_TRANSPORT, _GET_LAN_CONFIGURATION, bytes((channel, parameter, 0, 0)))
    # Completion code, parameter revision, value.
    if answer is None or len(answer) < 2 + size or answer[0] != 0:
        return None
    return answer[2 : 2 + size]


def _ask(fd: int, netfn: int, command: int, data: bytes) -> bytes | None:
    from agent.ipmi_device import exchange

    return exchange(fd, netfn, command, data, _TIMEOUT_SECONDS)
