"""What netboot was told, checked once and frozen: the rest of netboot sees only this.

Knows which values go together (a DHCP server needs a range); touches no file and
no network.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from drophammer.errors import Invalid

_INTERFACE = re.compile(r"[A-Za-z0-9_.:-]{1,15}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
# dnsmasq reads quotes, backslashes and '#' in its configuration as its own.
_PATH = re.compile(r"/[A-Za-z0-9_./@+=,:-]*")


@dataclass(frozen=True)
class DhcpSettings:
    """The DHCP server of one IPv4 network; ``ipv6_prefix`` None sends no advertisements."""

    interface: str
    range_start: IPv4Address
    range_end: IPv4Address
    network: IPv4Network
    lease_seconds: int
    router: IPv4Address | None
    dns: tuple[IPv4Address, ...]
    ipv6_prefix: IPv6Network | None
    program: str


@dataclass(frozen=True)
class Settings:
    """All of [netboot]. ``dhcp`` is None when somebody else's DHCP server is in charge."""

    address: IPv4Address | IPv6Address
    network_namespace: str
    http_enabled: bool
    http_port: int
    tftp_enabled: bool
    tftp_port: int
    tftp_max_block_size: int
    dhcp: DhcpSettings | None
    images_dir: Path
    boot_dir: Path
    file_url_allowed_paths: tuple[Path, ...]
    state_dir: Path
    loader_dirs: tuple[Path, ...]

    @classmethod
    def from_conf(cls, conf: Any) -> Settings:
        """Read and check the group [netboot]. Raises Invalid, naming the option."""
        group = conf.netboot
        address = _address("address", group.address)
        if address.is_unspecified or address.is_multicast:
            raise Invalid(
                f"[netboot]address is {address}: machines are told this address, so it must be "
                "the one this host has on the provisioning network."
            )
        namespace = group.network_namespace
        if namespace and not _NAMESPACE.fullmatch(namespace):
            raise Invalid(f"[netboot]network_namespace {namespace!r} is not a namespace's name.")
        return cls(
            address=address,
            network_namespace=namespace,
            http_enabled=group.http_enabled,
            http_port=group.http_port,
            tftp_enabled=group.tftp_enabled,
            tftp_port=group.tftp_port,
            tftp_max_block_size=group.tftp_max_block_size,
            dhcp=_dhcp(group, address) if group.dhcp_enabled else None,
            images_dir=_path("images_dir", group.images_dir),
            boot_dir=_path("boot_dir", group.boot_dir),
            file_url_allowed_paths=_paths("file_url_allowed_paths", group.file_url_allowed_paths),
            state_dir=_path("state_dir", group.state_dir),
            loader_dirs=_paths("loader_dirs", group.loader_dirs),
        )

    def kernel_roots(self) -> tuple[Path, ...]:
        """The folders that file:// URLs may point into."""
        return (self.boot_dir, *self.file_url_allowed_paths)


def _dhcp(group: Any, address: IPv4Address | IPv6Address) -> DhcpSettings:
    if not isinstance(address, IPv4Address):
        raise Invalid(f"[netboot]dhcp_enabled needs an IPv4 [netboot]address, not {address}.")
    if not _INTERFACE.fullmatch(group.interface):
        raise Invalid(
            f"[netboot]interface is {group.interface!r}: with dhcp_enabled it must name the "
            "network interface of the provisioning network."
        )
    if not group.dnsmasq or any(ord(character) < 32 for character in group.dnsmasq):
        raise Invalid("[netboot]dnsmasq must name a program; leave it at dnsmasq.")
    network = _network(group.dhcp_netmask, address)
    start = _inside("dhcp_range_start", group.dhcp_range_start, network)
    end = _inside("dhcp_range_end", group.dhcp_range_end, network)
    if start > end:
        raise Invalid(f"[netboot]dhcp_range_start {start} lies behind dhcp_range_end {end}.")
    if start <= address <= end:
        raise Invalid(f"[netboot] the DHCP range {start} to {end} has our own address in it.")
    return DhcpSettings(
        interface=group.interface,
        range_start=start,
        range_end=end,
        network=network,
        lease_seconds=group.dhcp_lease_seconds,
        router=_inside("dhcp_router", group.dhcp_router, network) if group.dhcp_router else None,
        dns=tuple(_ipv4("dhcp_dns", text) for text in group.dhcp_dns),
        ipv6_prefix=_prefix(group.ipv6_prefix),
        program=group.dnsmasq,
    )


def _network(netmask: str, address: IPv4Address) -> IPv4Network:
    try:
        return IPv4Network(f"{address}/{_ipv4('dhcp_netmask', netmask)}", strict=False)
    except ValueError:
        raise Invalid(
            f"[netboot]dhcp_netmask {netmask!r} is not a netmask like 255.255.255.0."
        ) from None


def _inside(option: str, text: str, network: IPv4Network) -> IPv4Address:
    address = _ipv4(option, text)
    if address not in network:
        raise Invalid(
            f"[netboot]{option} {address} is not in {network}, the network of [netboot]address "
            "and dhcp_netmask."
        )
    return address


def _prefix(text: str) -> IPv6Network | None:
    if not text:
        return None
    try:
        prefix = IPv6Network(text)
    except ValueError as error:
        raise Invalid(f"[netboot]ipv6_prefix {text!r} is not an IPv6 prefix: {error}.") from None
    if prefix.prefixlen != 64:
        raise Invalid(
            f"[netboot]ipv6_prefix {prefix} must be a /64: machines make addresses of it."
        )
    return prefix


def _address(option: str, text: str) -> IPv4Address | IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(f"[netboot]{option} is {text!r}, which is not an IP address.") from None


def _ipv4(option: str, text: str) -> IPv4Address:
    address = _address(option, text)
    if not isinstance(address, IPv4Address):
        raise Invalid(f"[netboot]{option} is {address}, which is not an IPv4 address.")
    return address


def _path(option: str, text: str) -> Path:
    if not _PATH.fullmatch(text):
        raise Invalid(
            f"[netboot]{option} is {text!r}: give an absolute path of letters, digits and "
            "any of _ . / @ + = , : -"
        )
    return Path(text)


def _paths(option: str, texts: list[str]) -> tuple[Path, ...]:
    return tuple(_path(option, text) for text in texts)
