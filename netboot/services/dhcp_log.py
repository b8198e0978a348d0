"""What dnsmasq says while it serves DHCP, and its file of leases, as data.

Pure parsing of text (dnsmasq 2.90 with log-dhcp); lines that say nothing about a
machine give nothing. Never raises on any text.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from netboot.dhcp.architectures import ARCHITECTURES

FIRMWARE = {number: kind.title for kind in ARCHITECTURES for number in kind.numbers}
FIRMWARE[6] = "UEFI 32-bit"
"""Client architectures by number, for people."""

_LINE = re.compile(r"dnsmasq-dhcp(?:\[\d+\])?: (?:(?P<xid>\d+) )?(?P<text>.*)")
_MESSAGE = re.compile(
    r"DHCP(?P<type>DISCOVER|OFFER|REQUEST|ACK|NAK|DECLINE|RELEASE|INFORM)\([^)]*\) "
    r"(?:(?P<ip>\d+\.\d+\.\d+\.\d+) )?(?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2}){5})(?: (?P<rest>.*))?"
)
_ARCHITECTURE = re.compile(r"vendor class: (?:PXE|HTTP)Client:Arch:(\d{1,5})")
_READ = re.compile(r"dnsmasq-dhcp(?:\[\d+\])?: read (?P<file>.+)")
_TRANSACTIONS = 256


@dataclass(frozen=True)
class DhcpEvent:
    """One DHCP message of one machine. ``ip`` is empty in a DISCOVER."""

    type: str
    mac: str
    ip: str
    client: str
    note: str

    def message(self) -> str:
        """One line for people, e.g. "ACK 172.22.0.50 (BIOS, iPXE)"."""
        client = f"({self.client})" if self.client else ""
        return " ".join(part for part in (self.type, self.ip, client, self.note) if part)


@dataclass(frozen=True)
class _Client:
    firmware: str = ""
    program: str = ""

    def text(self) -> str:
        return ", ".join(part for part in (self.firmware, self.program) if part)


class DhcpLog:
    """Reads lines in order: what a client is comes in other lines than what it asks."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def read(self, line: str) -> DhcpEvent | None:
        """The DHCP message that ``line`` tells of, if it does."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            return None
        transaction, text = found["xid"] or "", found["text"]
        message = _MESSAGE.fullmatch(text)
        if message is None:
            self._learn(transaction, text)
            return None
        return DhcpEvent(
            type=message["type"],
            mac=message["mac"],
            ip=message["ip"] or "",
            client=self._clients.get(transaction, _Client()).text(),
            note=_note(message["type"], message["rest"] or ""),
        )

    def _learn(self, transaction: str, text: str) -> None:
        known = self._clients.get(transaction, _Client())
        architecture = _ARCHITECTURE.match(text)
        if architecture:
            number = int(architecture[1])
            known = replace(known, firmware=FIRMWARE.get(number, f"architecture {number}"))
        elif text.strip() == "user class: iPXE":
            known = replace(known, program="iPXE")
        else:
            return
        self._clients[transaction] = known
        self._clients.move_to_end(transaction)
        if len(self._clients) > _TRANSACTIONS:
            self._clients.popitem(last=False)


def _note(kind: str, rest: str) -> str:
    # Behind an ACK or OFFER stands the host name that the client gave itself: not ours to repeat.
    return rest.strip()[:100] if kind in ("DISCOVER", "REQUEST", "NAK") else ""


def file_read(line: str) -> str | None:
    """The path of the file that dnsmasq says it has read (again)."""
    found = _READ.fullmatch(line.strip())
    return found["file"] if found else None


def advertises(line: str) -> bool:
    """Whether dnsmasq says that it sends router advertisements."""
    found = _LINE.fullmatch(line.strip())
    return found is not None and found["text"] == "IPv6 router advertisement enabled"


def leases(text: str) -> dict[str, str]:
    """IPv4 address -> MAC of a lease file: "<expiry> <mac> <ip> <name> <client id>" per line."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 5 and words[0].isdigit() and "." in words[2]:
            found[words[2]] = words[1].lower()
    return found


class Leases:
    """The lease file as it is now; read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._macs: dict[str, str] = {}

    def mac_of(self, ip: str) -> str | None:
        """Who has, or last had, the lease of ``ip``; None when nobody. Reads the disk."""
        try:
            state = self._path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if stamp != self._stamp:
                self._macs = leases(self._path.read_text(errors="replace"))
                self._stamp = stamp
        except OSError:
            # No lease has been given yet, or the folder is gone: then nobody is known.
            return None
        return self._macs.get(ip)
