"""Vendor interface ``ipmitool``: any IPMI command, and restarting the controller itself.

Both are sent once and answer nothing; they are not offered as steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conductor.drivers.base import Vendor
from conductor.drivers.ipmi import check_driver_info
from conductor.drivers.vendormethods import VendorMethod
from conductor.ipmi import commands
from conductor.ipmi.target import from_driver_info
from drophammer.errors import Invalid
from drophammer.model import Node

_COLD_RESET, _WARM_RESET = 0x02, 0x03
_BYTE = re.compile(r"0[xX][0-9a-fA-F]{1,2}|[0-9]{1,3}")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

Arguments = Mapping[str, Any]


class IpmiVendor(Vendor):
    def validate(self, node: Node) -> None:
        check_driver_info(node)

    def methods(self) -> Mapping[str, VendorMethod]:
        return {
            "send_raw": VendorMethod(
                self._send_raw,
                ("POST",),
                "Sends the IPMI command raw_bytes: network function, command and data as numbers, "
                "like '0x06 0x01'.",
                background=True,
                check=self._check_raw,
            ),
            "bmc_reset": VendorMethod(
                self._reset,
                ("POST",),
                "Restarts the controller, not the machine; warm is true (default) or false.",
                background=True,
                check=self._check_reset,
            ),
        }

    def _check_raw(self, node: Node, http_method: str, arguments: Arguments) -> None:
        self.validate(node)
        _only(arguments, "raw_bytes")
        netfn, command, data = _raw_bytes(arguments.get("raw_bytes"))
        commands.raw(netfn, command, data)

    def _send_raw(self, node: Node, http_method: str, arguments: Arguments) -> None:
        netfn, command, data = _raw_bytes(arguments.get("raw_bytes"))
        self.box.ipmi.raw(from_driver_info(node.driver_info), netfn, command, data)

    def _check_reset(self, node: Node, http_method: str, arguments: Arguments) -> None:
        self.validate(node)
        _only(arguments, "warm")
        _is_warm(arguments)

    def _reset(self, node: Node, http_method: str, arguments: Arguments) -> None:
        command = _WARM_RESET if _is_warm(arguments) else _COLD_RESET
        self.box.ipmi.raw(from_driver_info(node.driver_info), commands.APPLICATION, command)


def _only(arguments: Arguments, name: str) -> None:
    unknown = sorted(set(arguments) - {name, "method"})
    if unknown:
        raise Invalid(f"Unknown arguments {', '.join(unknown)[:200]}; allowed is {name}.")


def _is_warm(arguments: Arguments) -> bool:
    word = str(arguments.get("warm", True)).lower()
    if word not in _TRUE + _FALSE:
        raise Invalid(f"warm: {word[:80]!r} is neither true nor false.")
    return word in _TRUE


def _raw_bytes(given: object) -> tuple[int, int, bytes]:
    """(network function, command, data). Raises Invalid."""
    words = given.split() if isinstance(given, str) else []
    if len(words) < 2 or not all(_BYTE.fullmatch(word) for word in words):
        raise Invalid(
            "raw_bytes: expected a text of at least two numbers, network function and command, "
            "each like 0x06 or 6."
        )
    numbers = [int(word, 16 if word[:2].lower() == "0x" else 10) for word in words]
    if max(numbers) > 255:
        raise Invalid("raw_bytes: a number is larger than 255, which fits no byte.")
    return numbers[0], numbers[1], bytes(numbers[2:])
