"""What a machine would make of the answers it got: which address, which file, from where.

Pure: follows PXE 2.1, UEFI's HTTP boot and iPXE as far as choosing a boot file goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from netboot.dhcp import options as o
from netboot.dhcp.architectures import ARCHITECTURES, HTTP_CLIENT, PXE_CLIENT
from netboot.dhcp.client import Offer
from netboot.dhcp.packet import Packet, text
from netboot.dhcp.personas import Persona

_NOTHING = IPv4Address(0)
IPXE_LOADERS = frozenset(
    ["ipxe.efi", "ipxe.pxe", "undionly.kkpxe", *(kind.ipxe for kind in ARCHITECTURES)]
) - {"bootppc64.bin"}


@dataclass(frozen=True)
class File:
    """A boot file: by TFTP from ``server`` (``url`` empty), or by URL."""

    name: str
    server: str
    url: str = ""

    def __str__(self) -> str:
        return self.url or f"{self.name} by TFTP from {self.server}"


@dataclass(frozen=True)
class Verdict:
    """What happens next. ``ask`` is a boot server to be asked first, on port 4011."""

    good: bool
    sentences: tuple[str, ...]
    file: File | None = None
    ask: IPv4Address | None = field(default=None)


def judge(
    persona: Persona, offers: Sequence[Offer], *, ipxe: bool, told: Packet | None = None
) -> Verdict:
    """What a machine does with ``offers``. ``told`` is what a boot server on port 4011 said."""
    if not offers:
        return _bad(
            "Nobody answered: there is no DHCP server here, it does not know this MAC address, or "
            "a relay or VLAN is missing on the way."
        )
    leases = [offer for offer in offers if offer.packet.yiaddr != _NOTHING]
    if not leases:
        return _bad("No server offered an address: only a proxy answered, and a machine waits on.")
    said = []
    if len(leases) > 1:
        names = ", ".join(str(offer.server) for offer in leases)
        said.append(f"{len(leases)} servers offer addresses ({names}): a machine takes either.")
    if persona.architecture is None:
        return Verdict(True, (*said, f"It takes the address {leases[0].packet.yiaddr}."))
    chosen = _boot_offer(persona, offers, ipxe)
    if chosen is None:
        said.append(
            f"It takes the address {leases[0].packet.yiaddr}, finds no boot file for "
            f"{persona.title} in the answers, and goes on to its next boot device."
        )
        return Verdict(False, tuple(said))
    packet = told or chosen.packet
    file = boot_file(packet, chosen.server)
    if file is None:
        return Verdict(
            False,
            (*said, f"It asks the boot server {chosen.server} on port 4011 for the boot file."),
            ask=chosen.server,
        )
    return _file_verdict(persona, file, said, leases[0].packet.yiaddr, ipxe)


def _file_verdict(
    persona: Persona, file: File, said: list[str], address: IPv4Address, ipxe: bool
) -> Verdict:
    name = urlsplit(file.url).path.rpartition("/")[2] if file.url else file.name
    if ipxe and name in IPXE_LOADERS:
        said.append(f"It is iPXE and is told to load iPXE ({name}) again: it does so for ever.")
        return Verdict(False, tuple(said), file)
    http = persona.architecture is not None and persona.architecture.http and not ipxe
    if http and not file.url.startswith(("http://", "https://")):
        said.append(f"It boots over HTTP, and {file} is no http:// URL: it does not boot.")
        return Verdict(False, tuple(said), file)
    if not http and not ipxe and file.url:
        said.append(f"Its firmware knows TFTP only, and is told a URL, {file}: it does not boot.")
        return Verdict(False, tuple(said), file)
    said.append(f"It takes the address {address} and loads {file}.")
    return Verdict(True, tuple(said), file)


def _boot_offer(persona: Persona, offers: Sequence[Offer], ipxe: bool) -> Offer | None:
    """The answer that a boot file is taken from: a lease with one, else a proxy's."""
    assert persona.architecture is not None
    if persona.architecture.http and not ipxe:
        return next((one for one in offers if _vendor(one) == HTTP_CLIENT), None)
    for offer in offers:
        if offer.packet.yiaddr != _NOTHING and boot_file(offer.packet, offer.server):
            return offer
    proxies = [one for one in offers if one.packet.yiaddr == _NOTHING]
    return next((one for one in proxies if _vendor(one) == PXE_CLIENT), None)


def _vendor(offer: Offer) -> str:
    return text(offer.packet.option(o.VENDOR_CLASS) or b"")


def boot_file(packet: Packet, server: IPv4Address) -> File | None:
    """Option 67, or the BOOTP field; from siaddr, or option 66, or whoever answered."""
    name = text(packet.option(o.BOOT_FILE) or b"") or packet.boot_file
    if not name:
        return None
    if "://" in name:
        return File(name, "", name)
    if packet.siaddr != _NOTHING:
        return File(name, str(packet.siaddr))
    return File(name, text(packet.option(o.TFTP_SERVER) or b"") or str(server))


def _bad(sentence: str) -> Verdict:
    return Verdict(False, (sentence,))
