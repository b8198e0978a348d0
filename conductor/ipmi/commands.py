"""The IPMI commands that the conductor needs, as bytes to send and bytes to read.

Pure: builds ``Step``s and decodes answers, knows no network and no session.
Section and table numbers are those of the IPMI 2.0 specification, rev. 1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from conductor.ipmi import codes
from drophammer.errors import Invalid

PowerState = Literal["power on", "power off"]

CHASSIS = 0x00
APPLICATION = 0x06

# Table 28-4, chassis control.
_POWER = {"off": 0, "on": 1, "cycle": 2, "reset": 3, "diag": 4, "soft": 5}
# A second "on" or "off" changes nothing; a second reset, NMI or press of the
# soft-off button does.
_HARMLESS_TWICE = frozenset({"on", "off"})
POWER_ACTIONS = tuple(_POWER)

# Table 28-14, boot flags, data 2 bits 5:2.
_DEVICES = {"pxe": 1, "disk": 2, "safe": 3, "cdrom": 5, "bios": 6}
_DEVICE_NAMES = {number: name for name, number in _DEVICES.items()}
BOOT_DEVICES = tuple(_DEVICES)

_VALID, _PERSISTENT, _UEFI = 0x80, 0x40, 0x20
_PARAMETER_VALID_CLEARING, _PARAMETER_FLAGS = 3, 5
_KEEP_ON_TIMEOUT = 0x08


class Garbled(Exception):
    """An answer with completion code 0 that does not have the form of its command."""


@dataclass(frozen=True)
class Step:
    """One IPMI command. ``tolerate`` holds completion codes that count as an (empty) answer."""

    netfn: int
    command: int
    data: bytes = b""
    tolerate: tuple[int, ...] = ()


@dataclass(frozen=True)
class BootDevice:
    """The boot override that the BMC holds. ``device`` is None when there is none
    or one that has no name here; ``persistent`` is None when there is none."""

    device: str | None
    persistent: bool | None
    uefi: bool


@dataclass(frozen=True)
class DeviceInfo:
    """Answer to Get Device ID (20.1). ``manufacturer_id`` is an IANA enterprise number."""

    device_id: int
    firmware: str
    ipmi_version: str
    manufacturer_id: int
    manufacturer: str
    product_id: int


GET_DEVICE_ID = Step(APPLICATION, 0x01)
GET_CHASSIS_STATUS = Step(CHASSIS, 0x01)
GET_BOOT_FLAGS = Step(CHASSIS, 0x09, bytes([_PARAMETER_FLAGS, 0, 0]))


def chassis_control(action: str) -> Step:
    """28.3. Raises Invalid for an action that IPMI does not have."""
    if action not in _POWER:
        raise Invalid(f"IPMI has no power action {action!r}: allowed are {', '.join(_POWER)}")
    return Step(CHASSIS, 0x02, bytes([_POWER[action]]))


def is_harmless_twice(action: str) -> bool:
    """Whether the power action may reach the BMC a second time without a second effect."""
    return action in _HARMLESS_TWICE


def power_state(answer: bytes) -> PowerState:
    """28.2, data 1 bit 0 of Get Chassis Status."""
    if not answer:
        raise Garbled("the chassis status is empty")
    return "power on" if answer[0] & 1 else "power off"


def keep_boot_flags() -> Step:
    """28.12 parameter 3: the boot flags outlive the BMC's 60 s wait for a boot.

    The parameter is optional; a BMC that lacks it has no time-out to switch off.
    """
    data = bytes([_PARAMETER_VALID_CLEARING, _KEEP_ON_TIMEOUT])
    return Step(CHASSIS, 0x08, data, tolerate=(codes.PARAMETER_NOT_SUPPORTED,))


def set_boot_flags(device: str, *, persistent: bool, uefi: bool) -> Step:
    """28.12 parameter 5, with the valid bit. Raises Invalid for an unknown device."""
    if device not in _DEVICES:
        raise Invalid(f"IPMI has no boot device {device!r}: allowed are {', '.join(_DEVICES)}")
    flags = _VALID | (_PERSISTENT if persistent else 0) | (_UEFI if uefi else 0)
    return Step(CHASSIS, 0x08, bytes([_PARAMETER_FLAGS, flags, _DEVICES[device] << 2, 0, 0, 0]))


def boot_device(answer: bytes) -> BootDevice:
    """28.13 with parameter 5: version, parameter (bit 7 = not valid), then the flags."""
    if len(answer) < 4 or answer[1] & 0x7F != _PARAMETER_FLAGS:
        raise Garbled(f"the boot flags read {answer.hex(' ') or 'nothing'}")
    flags, device = answer[2], _DEVICE_NAMES.get(answer[3] >> 2 & 0x0F)
    uefi = bool(flags & _UEFI)
    if answer[1] & 0x80 or not flags & _VALID or not answer[3] >> 2 & 0x0F:
        return BootDevice(None, None, uefi)
    return BootDevice(device, bool(flags & _PERSISTENT), uefi)


def device_info(answer: bytes) -> DeviceInfo:
    """20.1, Get Device ID. The minor firmware revision is BCD, the IPMI version low digit first."""
    if len(answer) < 11:
        raise Garbled(f"the device id reads {answer.hex(' ') or 'nothing'}")
    number = int.from_bytes(answer[6:9], "little")
    return DeviceInfo(
        device_id=answer[0],
        firmware=f"{answer[2] & 0x7F}.{answer[3]:02x}",
        ipmi_version=f"{answer[4] & 0x0F}.{answer[4] >> 4}",
        manufacturer_id=number,
        manufacturer=codes.maker(number),
        product_id=int.from_bytes(answer[9:11], "little"),
    )


def raw(netfn: int, command: int, data: bytes | Sequence[int]) -> Step:
    """A command given by its numbers. Raises Invalid when they do not fit IPMI's fields."""
    if not 0 <= netfn <= 0x3E or netfn % 2:
        raise Invalid(f"netfn {netfn!r} is not a request: allowed are the even numbers 0 to 62")
    if not 0 <= command <= 0xFF:
        raise Invalid(f"command {command!r} does not fit a byte: allowed are 0 to 255")
    try:
        octets = bytes(data)
    except (TypeError, ValueError):
        raise Invalid("the data of a raw command must be bytes, or numbers from 0 to 255") from None
    if len(octets) > 200:
        raise Invalid(f"{len(octets)} data bytes do not fit an IPMI message: allowed are up to 200")
    return Step(netfn, command, octets)
