"""Values of a subnet's options: text to addresses, networks and ranges, or an error that names
the option.

Which values go together is in subnets.py.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from drophammer.errors import Invalid
from netboot.dhcp import grammar

# An option has room for 255 bytes; its text stands in a line of dnsmasq's as hexadecimal.
_LONGEST_TEXT = 200


@dataclass(frozen=True)
class Values:
    """Reads values of one group; ``title`` and ``front`` are for the names in errors."""

    title: str
    front: str

    def ipv4(self, option: str, text: str) -> IPv4Address:
        address = self._address(option, text)
        if not isinstance(address, IPv4Address):
            raise Invalid(
                f"{self.title}{self.front}{option} is {address}, which is not an IPv4 address."
            )
        return address

    def ipv6(self, option: str, text: str) -> IPv6Address:
        address = self._address(option, text)
        if not isinstance(address, IPv6Address) or address.scope_id:
            raise Invalid(
                f"{self.title}{self.front}{option} is {address}, which is not an IPv6 address."
            )
        return address

    def network(self, option: str, text: str) -> IPv4Network:
        try:
            network = IPv4Network(text)
        except ValueError as error:
            raise Invalid(
                f"{self.title}{option} is {text!r}, which is not a network like 10.1.0.0/24: "
                f"{error}."
            ) from None
        if not 8 <= network.prefixlen <= 30:
            raise Invalid(f"{self.title}{option} {network}: subnets are /8 to /30.")
        return network

    def inside(self, option: str, text: str, network: IPv4Network) -> IPv4Address:
        address = self.ipv4(option, text)
        if address not in network:
            raise Invalid(
                f"{self.title}{self.front}{option} {address} is not in {network}, the network of "
                "this subnet."
            )
        return address

    def range(
        self, start_text: str, end_text: str, network: IPv4Network, own: IPv4Address
    ) -> tuple[IPv4Address, IPv4Address]:
        start = self.inside("range_start", start_text, network)
        end = self.inside("range_end", end_text, network)
        if start > end:
            raise Invalid(
                f"{self.title}{self.front}range_start {start} lies behind {self.front}range_end "
                f"{end}."
            )
        if start <= own <= end:
            raise Invalid(
                f"{self.title} the DHCP range {start} to {end} has our own address in it."
            )
        return start, end

    def range6(
        self, start_text: str, end_text: str, prefix: IPv6Network
    ) -> tuple[IPv6Address, IPv6Address]:
        start = self.ipv6("ipv6_range_start", start_text)
        end = self.ipv6("ipv6_range_end", end_text)
        if start not in prefix or end not in prefix or start > end:
            raise Invalid(
                f"{self.title}ipv6_range_start {start} to ipv6_range_end {end} is no range in "
                f"{prefix}."
            )
        return start, end

    def text(self, option: str, text: str) -> str:
        if len(text) == 1:
            raise Invalid(f"{self.title}{option} is {text!r}: one character is no name of a file.")
        return grammar.check(text, f"{self.title}{option}", grammar.URL, _LONGEST_TEXT)

    def _address(self, option: str, text: str) -> IPv4Address | IPv6Address:
        try:
            return ipaddress.ip_address(text)
        except ValueError:
            raise Invalid(
                f"{self.title}{self.front}{option} is {text!r}, which is not an IP address."
            ) from None


def interface(option: str, text: str) -> str:
    grammar.check(text, option, grammar.INTERFACE, 15)
    if not text:
        raise Invalid(
            f"{option} is empty: DHCP needs the name of the network interface on which requests "
            "arrive."
        )
    return text


def prefix6(option: str, text: str) -> IPv6Network | None:
    if not text:
        return None
    try:
        prefix = IPv6Network(text)
    except ValueError as error:
        raise Invalid(f"{option} {text!r} is not an IPv6 prefix: {error}.") from None
    if "%" in text:
        raise Invalid(f"{option} {text!r}: a prefix has no zone ('%') behind its address.")
    if prefix.prefixlen != 64:
        raise Invalid(f"{option} {prefix} must be a /64: machines make addresses of it.")
    return prefix
