"""Turns a failed IPMI exchange into an error that an operator can act upon.

Every text says what was tried, against whom, what came back or for how long
nothing did, and what to check. A password never gets here.
"""

from __future__ import annotations

from conductor.ipmi.protocol import Failure, Kind
from conductor.ipmi.target import BmcTarget
from drophammer.errors import BmcAuthFailed, BmcError, BmcUnreachable, HardwareError

_ERRORS: dict[Kind, type[HardwareError]] = {
    "unresolved": BmcUnreachable,
    "unreachable": BmcUnreachable,
    "refused": BmcUnreachable,
    "waiting": BmcUnreachable,
    "lost": BmcUnreachable,
    "unknown": BmcUnreachable,
    "auth": BmcAuthFailed,
    "code": BmcError,
    "trouble": BmcError,
    "internal": BmcError,
}

_CHECK: dict[Kind, str] = {
    "unresolved": "Check ipmi_address and the name service of the conductor's host.",
    "unreachable": "Check ipmi_address and ipmi_port, that the BMC has power and network, that"
    " IPMI over LAN is enabled in it, and that no firewall drops this UDP port.",
    "refused": "Check ipmi_address and ipmi_port, and that IPMI over LAN is enabled in the BMC.",
    "waiting": "Check that the BMC has power and network; the next try comes by itself.",
    "lost": "See the conductor's log, and check the state of the machine before trying again.",
    "unknown": "Check the state of the machine before trying again.",
    "auth": "Check ipmi_username, ipmi_password, ipmi_priv_level, ipmi_cipher_suite and"
    " ipmi_hex_kg_key, and that the BMC lets this user in over LAN.",
    "code": "Check that the BMC supports the command and that ipmi_priv_level is high enough.",
    "trouble": "Check the BMC; many return to order after a reset of the BMC itself.",
    "internal": "See the conductor's log.",
}


def error(tried: str, target: BmcTarget, failure: Failure) -> HardwareError:
    """The error to raise for ``failure`` of ``tried`` ("power on") against ``target``."""
    who = f"user {target.username!r}" if target.username else "no user name"
    text = f"IPMI {tried} failed at BMC {target.endpoint} ({who}): {failure.detail}."
    return _ERRORS[failure.kind](f"{text} {_CHECK[failure.kind]}")
