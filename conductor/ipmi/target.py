"""Whom to talk to: the ``ipmi_*`` keys of a node's driver_info, checked.

``from_driver_info`` reports everything that is wrong in one message. Whether
the BMC accepts the values is found out by talking to it, not here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from drophammer.errors import Invalid, Unsupported
from drophammer.secret import Secret

PRIVILEGES = {"CALLBACK": 1, "USER": 2, "OPERATOR": 3, "ADMINISTRATOR": 4}
PROTOCOLS = ("2.0", "1.5")
CIPHER_SUITES = ("auto", "3", "17")
BRIDGING = ("no", "single", "dual")
DEFAULT_PORT = 623

# What an IPMI user record and a channel's K_g can hold (IPMI 2.0, 22.28, 22.30, 22.25).
_USERNAME_BYTES = 16
_PASSWORD_BYTES = {"2.0": 20, "1.5": 16}
_KG_BYTES = 20

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

PROPERTIES = {
    "ipmi_address": "Host name or IP address of the BMC. Required.",
    "ipmi_username": "User to log in as. Left out: the BMC's unnamed user.",
    "ipmi_password": "Password of that user, up to 20 bytes (16 for protocol 1.5).",
    "ipmi_port": "UDP port of the BMC, 1 to 65535. Default 623.",
    "ipmi_priv_level": "Privilege level to ask for: ADMINISTRATOR (default), OPERATOR, USER or"
    " CALLBACK. Switching power needs OPERATOR at least.",
    "ipmi_protocol_version": "IPMI version of the session: 2.0 (default) or 1.5.",
    "ipmi_cipher_suite": "Cipher suite of a 2.0 session: 3 (SHA-1), 17 (SHA-256), or auto"
    " (default) for the best that the BMC has.",
    "ipmi_hex_kg_key": "The BMC key K_g in hexadecimal digits, when the BMC has one. Protocol"
    " 2.0 only.",
    "ipmi_bridging": "Way to a controller behind the BMC: no (default). single and dual are not"
    " supported by this driver.",
    "ipmi_local_address": "Own address for bridged requests. Only with ipmi_bridging.",
    "ipmi_target_channel": "Channel of the bridged target. Only with ipmi_bridging.",
    "ipmi_target_address": "Address of the bridged target. Only with ipmi_bridging.",
    "ipmi_transit_channel": "Channel on the way to the target. Only with ipmi_bridging dual.",
    "ipmi_transit_address": "Address on the way to the target. Only with ipmi_bridging dual.",
    "ipmi_force_boot_device": "true: set the boot device again before each power on, for BMCs"
    " that forget a persistent one. Default false.",
    "ipmi_disable_boot_timeout": "true: tell the BMC not to drop the boot device when the machine"
    " does not boot within 60 seconds. Default: option [ipmi]disable_boot_timeout.",
    "ipmi_terminal_port": "TCP port for the node's console, 1 to 65535.",
}


@dataclass(frozen=True)
class BmcTarget:
    """Address and credentials of one BMC. ``kg`` holds hexadecimal digits."""

    address: str
    port: int = DEFAULT_PORT
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""), hash=False)
    privilege: str = "ADMINISTRATOR"
    protocol: str = "2.0"
    cipher_suite: str = "auto"
    kg: Secret | None = field(default=None, hash=False)

    @property
    def endpoint(self) -> str:
        """``address:port``, with brackets around an IPv6 address."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"


def from_driver_info(driver_info: Mapping[str, object]) -> BmcTarget:
    """The BMC that ``driver_info`` names.

    Raises Invalid with every wrong key, what is wrong and what is allowed;
    Unsupported when only the asked bridging stands in the way.
    """
    keys = _Keys(driver_info)
    address = keys.address("ipmi_address")
    protocol = keys.choice("ipmi_protocol_version", PROTOCOLS, "2.0")
    target = BmcTarget(
        address=address,
        port=keys.port("ipmi_port") or DEFAULT_PORT,
        username=keys.text("ipmi_username", _USERNAME_BYTES),
        password=Secret(keys.text("ipmi_password", _PASSWORD_BYTES[protocol])),
        privilege=keys.choice("ipmi_priv_level", tuple(PRIVILEGES), "ADMINISTRATOR"),
        protocol=protocol,
        cipher_suite=keys.choice("ipmi_cipher_suite", CIPHER_SUITES, "auto"),
        kg=keys.hex_key("ipmi_hex_kg_key"),
    )
    keys.only_with_2_0("ipmi_cipher_suite", protocol, target.cipher_suite != "auto")
    keys.only_with_2_0("ipmi_hex_kg_key", protocol, target.kg is not None)
    keys.port("ipmi_terminal_port")
    keys.flag("ipmi_force_boot_device")
    keys.flag("ipmi_disable_boot_timeout")
    bridging = keys.choice("ipmi_bridging", BRIDGING, "no")
    keys.bridging(bridging)
    if keys.problems:
        raise Invalid("driver_info: " + "; ".join(keys.problems))
    if bridging != "no":
        raise Unsupported(
            f"driver_info: ipmi_bridging is {bridging!r}, but this driver talks to BMCs directly"
            " only: set ipmi_bridging to 'no', or remove it"
        )
    return target


def flag(driver_info: Mapping[str, object], key: str, default: bool) -> bool:
    """A true/false key such as ``ipmi_force_boot_device``. Raises Invalid for anything else."""
    keys = _Keys(driver_info)
    value = keys.flag(key)
    if keys.problems:
        raise Invalid("driver_info: " + "; ".join(keys.problems))
    return default if value is None else value


class _Keys:
    """Reads keys one by one and collects what is wrong instead of stopping at the first."""

    def __init__(self, driver_info: Mapping[str, object]) -> None:
        self._values = driver_info
        self.problems: list[str] = []

    def _wrong(self, key: str, problem: str) -> None:
        self.problems.append(f"{key} {problem}")

    def _given(self, key: str) -> object | None:
        value = self._values.get(key)
        return None if value == "" else value

    def address(self, key: str) -> str:
        value = self._given(key)
        if value is None:
            self._wrong(key, "is missing: give the host name or IP address of the BMC")
        elif not isinstance(value, str) or not _is_host(value):
            self._wrong(
                key, f"is {value!r}: allowed are a host name or an IP address, nothing else"
            )
        else:
            return value
        return ""

    def port(self, key: str) -> int | None:
        value = self._given(key)
        if value is None:
            return None
        number = _whole_number(value)
        if number is None or not 1 <= number <= 65535:
            self._wrong(key, f"is {value!r}: allowed are whole numbers from 1 to 65535")
            return None
        return number

    def text(self, key: str, limit: int) -> str:
        value = self._given(key)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            self._wrong(key, f"is a {type(value).__name__}: allowed is a text")
            return ""
        text = str(value)
        if "\0" in text:
            self._wrong(key, "holds a zero byte: IPMI cannot carry that")
        if len(text.encode(errors="surrogatepass")) > limit:
            self._wrong(key, f"is longer than the {limit} bytes that a BMC can hold")
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
            self._wrong(key, "is not proper Unicode")
        return text

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._given(key)
        if value is None:
            return default
        if isinstance(value, bool) or str(value) not in allowed:
            self._wrong(key, f"is {value!r}: allowed are {', '.join(allowed)}")
            return default
        return str(value)

    def hex_key(self, key: str) -> Secret | None:
        value = self._given(key)
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"([0-9A-Fa-f]{2})+", value):
            self._wrong(key, "is not a hexadecimal key: allowed are pairs of digits 0-9 and a-f")
            return None
        if len(value) > 2 * _KG_BYTES:
            self._wrong(key, f"is longer than the {2 * _KG_BYTES} digits that a BMC can hold")
            return None
        return Secret(value)

    def only_with_2_0(self, key: str, protocol: str, used: bool) -> None:
        if used and protocol != "2.0":
            self._wrong(key, f"does not exist in protocol {protocol}: remove it, or set"
                        " ipmi_protocol_version to 2.0")  # fmt: skip

    def flag(self, key: str) -> bool | None:
        value = self._given(key)
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        self._wrong(key, f"is {value!r}: allowed are true and false")
        return None

    def bridging(self, mode: str) -> None:
        needed = {
            "no": (),
            "single": ("ipmi_target_channel", "ipmi_target_address"),
            "dual": (
                "ipmi_target_channel",
                "ipmi_target_address",
                "ipmi_transit_channel",
                "ipmi_transit_address",
            ),
        }[mode]
        for key in needed:
            if self._given(key) is None:
                self._wrong(key, f"is missing: ipmi_bridging {mode!r} needs it")


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return int(value)
    return None


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # A name of digits and dots only is an IP address gone wrong.
        digits_only = re.fullmatch(r"[0-9.]+", text) is not None
        return len(text) <= 253 and not digits_only and bool(_HOST_NAME.fullmatch(text))
    return True
