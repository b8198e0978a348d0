"""What the numbers in IPMI answers mean, in words an operator can use.

Completion codes of commands, status codes of the RMCP+ log-in, and the IANA
numbers of makers. Tables only: nothing here talks to anybody.
"""

from __future__ import annotations

BUSY = 0xC0
PARAMETER_NOT_SUPPORTED = 0x80
PRIVILEGE_TOO_LOW = 0xD4

# IPMI 2.0, table 5-2.
_COMPLETION = {
    0x00: "done",
    0xC0: "the BMC is busy",
    0xC1: "the BMC does not know this command",
    0xC2: "the BMC does not know this command for the addressed LUN",
    0xC3: "the BMC ran into a time-out of its own",
    0xC4: "the BMC is out of space",
    0xC5: "the reservation was cancelled",
    0xC6: "the request was cut short on its way",
    0xC7: "the request has the wrong length",
    0xC8: "the request is too long",
    0xC9: "a value in the request is out of range",
    0xCA: "the BMC cannot return that many bytes",
    0xCB: "the BMC does not have what was asked for",
    0xCC: "the BMC rejects a field of the request",
    0xCD: "the command makes no sense for the addressed sensor or record",
    0xCE: "the BMC could not form an answer",
    0xCF: "the BMC saw this request before",
    0xD0: "the BMC could not form an answer: its sensor records are being updated",
    0xD1: "the BMC could not form an answer: its firmware is being updated",
    0xD2: "the BMC could not form an answer: it is still starting",
    0xD3: "the destination of the request cannot be reached",
    0xD4: "the user's privilege is too low for this command",
    0xD5: "the BMC cannot do this in its present state",
    0xD6: "this function is switched off in the BMC",
    0xFF: "the BMC gives no reason",
}

# Codes with a meaning of their own for one command: (netfn, command) -> code -> words.
# IPMI 2.0, sections 28.12 (set boot options), 28.13 (get),
# 22.17 (activate session) and 22.18 (privilege).
_BY_COMMAND: dict[tuple[int, int], dict[int, str]] = {
    (0x00, 0x08): {
        0x80: "the BMC does not support this boot parameter",
        0x81: "another party is changing the boot parameters",
        0x82: "this boot parameter cannot be written",
    },
    (0x00, 0x09): {0x80: "the BMC does not support this boot parameter"},
    (0x06, 0x3A): {
        0x84: "the sequence number is out of range",
        0x85: "the session id is not valid",
        0x86: "the asked privilege level is above the limit of the user or the channel",
    },
    (0x06, 0x3B): {
        0x80: "this user may not have the asked privilege level",
        0x81: "the asked privilege level is above the limit of the user or the channel",
        0x82: "the BMC cannot switch authentication off at user level",
    },
}

# IPMI 2.0, table 13-15.
_RMCP = {
    0x01: "the BMC has no free session",
    0x02: "the BMC does not know the session id",
    0x03: "the BMC rejects the payload type",
    0x04: "the BMC rejects the authentication algorithm",
    0x05: "the BMC rejects the integrity algorithm",
    0x06: "no authentication payload matches",
    0x07: "no integrity payload matches",
    0x08: "the session id is not active",
    0x09: "the asked role is not valid",
    0x0A: "the user may not have the asked role or privilege level",
    0x0B: "the BMC has no free session for the asked role",
    0x0C: "the length of the user name is not valid",
    0x0D: "the user name is not known, or not allowed at the asked privilege level",
    0x0E: "the GUID is not allowed",
    0x0F: "the password or the BMC key (K_g) does not match",
    0x10: "the BMC rejects the encryption algorithm",
    0x11: "the BMC has none of the offered cipher suites",
    0x12: "the BMC does not recognise a parameter",
}
NO_FREE_SESSION = frozenset({0x01, 0x0B})
# These say who may log in and how; the others are the BMC's own trouble.
AUTHENTICATION_STATUSES = frozenset(
    {0x04, 0x05, 0x06, 0x07, 0x09, 0x0A, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11}
)

# IANA private enterprise numbers of makers of servers and controllers.
_MAKERS = {
    2: "IBM",
    11: "HP",
    42: "Sun",
    119: "NEC",
    343: "Intel",
    674: "Dell",
    2011: "Huawei",
    5771: "Cisco",
    7244: "Quanta",
    10368: "Fujitsu",
    10876: "Supermicro",
    15370: "Gigabyte",
    19046: "Lenovo",
    40092: "Wiwynn",
    47196: "HPE",
}


def completion(code: int, netfn: int, command: int) -> str:
    """``completion code 0xd5: the BMC cannot do this in its present state``."""
    special = _BY_COMMAND.get((netfn, command), {})
    if code in special:
        words = special[code]
    elif code in _COMPLETION:
        words = _COMPLETION[code]
    elif 0x01 <= code <= 0x7E:
        words = "a code of the maker's own, see the manual of the BMC"
    else:
        words = "a code without a general meaning"
    return f"completion code 0x{code:02x}: {words}"


def rmcp_status(status: int) -> str:
    """``status 0x11: the BMC has none of the offered cipher suites``."""
    return f"status 0x{status:02x}: {_RMCP.get(status, 'a status without a general meaning')}"


def maker(number: int) -> str:
    """Name of the maker with this IANA number, or ``IANA 12345``."""
    return _MAKERS.get(number, f"IANA {number}")
