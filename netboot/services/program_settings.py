"""What was configured for programs outside of ours, checked once and frozen.

Each value ends in a configuration file or on a command line; what does not fit there is refused
here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from drophammer.errors import Invalid

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"/[A-Za-z0-9_./@+=,:-]*")
_PROGRAM = re.compile(r"[A-Za-z0-9_./@+=,:-]+")
_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,200}\.service")
_SOMEBODY = re.compile(r"[A-Za-z0-9_ .,:()/@-]{0,100}")


@dataclass(frozen=True)
class NtpSettings:
    """The group [ntp]. ``managed_by``: who serves time here instead of us; empty: nobody."""

    enabled: bool
    managed_by: str
    servers: tuple[str, ...]
    key_file: Path | None
    allow: tuple[IPv4Network | IPv6Network, ...]
    set_clock: bool
    port: int
    program: str
    unit: str
    unit_config: Path

    @classmethod
    def from_conf(cls, conf: Any) -> NtpSettings:
        """Read and check it. Raises Invalid, naming the option."""
        group = conf.ntp
        if group.enabled and group.managed_by:
            raise Invalid(
                "[ntp] enabled is true, and managed_by says that somebody else serves time here; "
                "set one of them only."
            )
        for name in group.servers:
            _fits("[ntp] servers", name, _HOST, "names or addresses of hosts")
        return cls(
            enabled=group.enabled,
            managed_by=_fits("[ntp] managed_by", group.managed_by, _SOMEBODY, "a few plain words"),
            servers=tuple(group.servers),
            key_file=_path("[ntp] key_file", group.key_file) if group.key_file else None,
            allow=tuple(_network(text) for text in group.allow),
            set_clock=group.set_clock,
            port=group.port,
            program=_fits("[ntp] program", group.program, _PROGRAM, "a program"),
            unit=_unit("[ntp] unit", group.unit),
            unit_config=_path("[ntp] unit_config", group.unit_config),
        )


@dataclass(frozen=True)
class TgtSettings:
    """The group [tgt]."""

    enabled: bool
    port: int
    unit: str
    command_timeout: float

    @classmethod
    def from_conf(cls, conf: Any) -> TgtSettings:
        """Read and check it. Raises Invalid, naming the option."""
        group = conf.tgt
        return cls(
            enabled=group.enabled,
            port=group.port,
            unit=_unit("[tgt] unit", group.unit),
            command_timeout=group.command_timeout,
        )


def _fits(option: str, text: str, grammar: re.Pattern[str], what: str) -> str:
    if not grammar.fullmatch(text):
        raise Invalid(f"{option} is {text!r:.100}: give {what}.")
    return text


def _unit(option: str, text: str) -> str:
    return _fits(option, text, _UNIT, "a unit of systemd like name.service")


def _path(option: str, text: str) -> Path:
    grammar = "an absolute path of letters, digits and any of _ . / @ + = , : -"
    return Path(_fits(option, text, _PATH, grammar))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        # A zone ('%') is any text at all.
        return ipaddress.ip_network(text if "%" not in text else "", strict=False)
    except ValueError:
        raise Invalid(
            f"[ntp] allow has {text!r:.100}, which is no network like 172.22.0.0/24."
        ) from None
