"""The machines that DHCP knows: their cards, how they boot, and the address kept for them.

An address is kept for a card whose port says so in ``extra.ip_address``. What cannot be kept is
told and left out: the machine then gets an address of the range, and boots.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from drophammer.bootspec import normal_mac
from drophammer.errors import Invalid
from netboot.subnets import SERVER, DhcpSettings, Subnet

PXE_INTERFACE = "pxe"
"""The boot interface (node field) whose machines get plain PXE loaders."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Host:
    """One network card. ``wish`` is what its port has as address, whatever that is."""

    mac: str
    boot_interface: str | None
    wish: object = None


def render(
    hosts: Iterable[Host], settings: DhcpSettings, own: IPv4Address
) -> tuple[str, Sequence[str]]:
    """dnsmasq's file of known machines, and a sentence for each address that is not kept.

    ``id:*`` keeps one lease per network card: firmware, iPXE and Linux send different client
    identifiers, and each would take an address of its own. ``own`` is the server's address.
    """
    lines, problems = [], []
    taken: dict[IPv4Address, str] = {}
    for host in hosts:
        mac = normal_mac(host.mac)
        line = f"{mac},id:*{',set:pxe' if host.boot_interface == PXE_INTERFACE else ''}"
        # Twice: a line with an address is for that address's subnet only.
        lines.append(f"{line}\n")
        if host.wish is not None:
            try:
                address = _reserved(host.wish, settings, own)
                if address in taken:
                    raise Invalid(f"{address} is kept for {taken[address]} already")
                taken[address] = mac
                lines.append(f"{line},{address}\n")
            except Invalid as error:
                problems.append(
                    f"No address is kept for {mac}: extra.ip_address of its port cannot be used: "
                    f"{error.message}."
                )
    return "".join(lines), problems


def render6(hosts: Iterable[Host]) -> str:
    """The same for DHCPv6, where no addresses are kept."""
    tags = {True: ",set:pxe", False: ""}
    return "".join(
        f"{normal_mac(host.mac)},id:*{tags[host.boot_interface == PXE_INTERFACE]}\n"
        for host in hosts
    )


def _reserved(wish: object, settings: DhcpSettings, own: IPv4Address) -> IPv4Address:
    try:
        if not isinstance(wish, str):
            raise ValueError("it is not text")
        address = ipaddress.IPv4Address(wish)
    except ValueError:
        raise Invalid(f"{str(wish)[:_LONGEST_SHOWN]!r} is not an IPv4 address") from None
    subnet = settings.of(address)
    if subnet is None or subnet.mode != SERVER:
        raise Invalid(f"{address} is in no subnet that has its addresses from us")
    if address in _others(subnet, own):
        raise Invalid(f"{address} belongs to the network itself, a router or this server")
    return address


def _others(subnet: Subnet, own: IPv4Address) -> set[IPv4Address | None]:
    network = subnet.network
    ends = {network.network_address, network.broadcast_address}
    return {*ends, own, subnet.router, subnet.relay, subnet.next_server}
