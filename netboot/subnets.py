"""The subnets that machines boot in: what DHCP does in each, checked once and frozen.

Read from [dhcp] and [subnet:NAME], or from [netboot] where there is a single subnet.
Touches no file and no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final, Literal

from oslo_config import cfg

from drophammer.errors import Invalid
from netboot.dhcp import grammar
from netboot.subnet_options import SUBNET
from netboot.subnet_values import Values, interface, prefix6

SERVER: Final = "server"
PROXY: Final = "proxy"
OFF: Final = "off"
ADVERTISE, STATELESS, STATEFUL = "advertise", "stateless", "stateful"

Mode = Literal["server", "proxy", "off"]
_LONGEST_NAME = 20


@dataclass(frozen=True)
class Ipv6:
    """What a subnet has of IPv6. ``next_server`` None: nothing is booted over it."""

    prefix: IPv6Network
    mode: str = ADVERTISE
    range: tuple[IPv6Address, IPv6Address] | None = None
    next_server: IPv6Address | None = None


@dataclass(frozen=True)
class Subnet:
    """One IPv4 network. ``range`` None: no addresses are given here (mode proxy or off)."""

    name: str
    network: IPv4Network
    interface: str
    mode: Mode = SERVER
    range: tuple[IPv4Address, IPv4Address] | None = None
    lease_seconds: int = 3600
    relay: IPv4Address | None = None
    router: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    ntp: tuple[IPv4Address, ...] = ()
    enlist: bool = False
    next_server: IPv4Address | None = None
    http_boot: bool = True
    config_file: str = ""
    path_prefix: str = ""
    ipv6: Ipv6 | None = None


@dataclass(frozen=True)
class DhcpSettings:
    """All subnets, and the program that serves them. ``probe_interval`` 0: never ask."""

    subnets: tuple[Subnet, ...]
    program: str = "dnsmasq"
    probe_interval: int = 0

    @property
    def served(self) -> tuple[Subnet, ...]:
        """Those in which we answer at all."""
        return tuple(subnet for subnet in self.subnets if subnet.mode != OFF)

    @property
    def served6(self) -> tuple[Subnet, ...]:
        """Those with IPv6 in which we answer."""
        return tuple(subnet for subnet in self.served if subnet.ipv6 is not None)

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The interfaces to listen on, each once."""
        return tuple(dict.fromkeys(subnet.interface for subnet in self.served))

    @property
    def interface(self) -> str:
        """The interfaces for people."""
        return ", ".join(self.interfaces)

    def of(self, client: IPv4Address | IPv6Address) -> Subnet | None:
        """The subnet in which an address lies, whatever its mode."""
        for subnet in self.subnets:
            prefix = subnet.ipv6.prefix if subnet.ipv6 else None
            if client in subnet.network or (prefix is not None and client in prefix):
                return subnet
        return None


def from_conf(conf: Any, address: IPv4Address | IPv6Address) -> DhcpSettings | None:
    """The settings, or None when nothing is said of DHCP. Raises Invalid, naming the option.

    ``address`` is that of [netboot], which machines are told.
    """
    group, names = conf.netboot, conf.dhcp.subnets
    if not names and not group.dhcp_enabled:
        return None
    if names and group.dhcp_enabled:
        raise Invalid(
            "[netboot]dhcp_enabled and [dhcp]subnets are both set: take one. dhcp_enabled is for "
            "a single subnet; move its dhcp_* options into a group [subnet:NAME]."
        )
    if not isinstance(address, IPv4Address):
        what = "[dhcp]subnets" if names else "[netboot]dhcp_enabled"
        raise Invalid(f"{what} needs an IPv4 [netboot]address, not {address}.")
    if not group.dnsmasq or any(ord(character) < 32 for character in group.dnsmasq):
        raise Invalid("[netboot]dnsmasq must name a program; leave it at dnsmasq.")
    if names:
        subnets = tuple(_subnet(conf, name, address) for name in _names(names))
    else:
        subnets = (_single(group, address),)
    _check_apart(subnets)
    return DhcpSettings(subnets, group.dnsmasq, conf.dhcp.probe_interval)


def _names(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        source = f"[dhcp]subnets, name {name!r}"
        grammar.check(name, source, grammar.NAME, _LONGEST_NAME)
        if not name:
            raise Invalid("[dhcp]subnets has an empty name in it.")
        if names.count(name) > 1:
            raise Invalid(f"{source}: it is there twice.")
    return names


def _single(group: Any, address: IPv4Address) -> Subnet:
    """The one subnet of [netboot]."""
    read = Values("[netboot]", "dhcp_")
    netmask = read.ipv4("netmask", group.dhcp_netmask)
    try:
        network = IPv4Network(f"{address}/{netmask}", strict=False)
    except ValueError:
        raise Invalid(
            f"[netboot]dhcp_netmask {group.dhcp_netmask!r} is not a netmask like 255.255.255.0."
        ) from None
    prefix = prefix6("[netboot]ipv6_prefix", group.ipv6_prefix)
    return Subnet(
        name="default",
        network=network,
        interface=interface("[netboot]interface", group.interface),
        range=read.range(group.dhcp_range_start, group.dhcp_range_end, network, address),
        lease_seconds=group.dhcp_lease_seconds,
        router=read.inside("router", group.dhcp_router, network) if group.dhcp_router else None,
        dns=tuple(read.ipv4("dns", text) for text in group.dhcp_dns),
        ipv6=Ipv6(prefix) if prefix else None,
    )


def _subnet(conf: Any, name: str, address: IPv4Address) -> Subnet:
    title = f"subnet:{name}"
    conf.register_opts(SUBNET, group=title)
    group = _values(conf, title)
    read = Values(f"[{title}]", "")
    network = read.network("cidr", group["cidr"])
    mode: Mode = group["mode"]
    relay = read.inside("relay", group["relay"], network) if group["relay"] else None
    next_server = read.ipv4("next_server", group["next_server"]) if group["next_server"] else None
    own = next_server or address
    leased = None
    if mode == SERVER:
        leased = read.range(group["range_start"], group["range_end"], network, own)
        _check_range(read, leased, relay, "relay")
    router = read.inside("router", group["router"], network) if group["router"] else None
    if leased is not None:
        _check_range(read, leased, router, "router")
    return Subnet(
        name=name,
        network=network,
        interface=interface(f"[{title}]interface", group["interface"] or conf.netboot.interface),
        mode=mode,
        range=leased,
        lease_seconds=group["lease_seconds"],
        relay=relay,
        router=router,
        dns=tuple(read.ipv4("dns", text) for text in group["dns"]),
        ntp=tuple(read.ipv4("ntp", text) for text in group["ntp"]),
        enlist=group["enlist"],
        next_server=next_server,
        http_boot=group["http_boot"],
        config_file=read.text("config_file", group["config_file"]),
        path_prefix=read.text("path_prefix", group["path_prefix"]),
        ipv6=_ipv6(read, group),
    )


def _values(conf: Any, title: str) -> dict[str, Any]:
    values = {}
    for option in SUBNET:
        try:
            values[option.dest] = getattr(conf[title], option.dest)
        except (cfg.Error, ValueError) as error:
            reason = str(error).rpartition("is not valid: ")[2]
            raise Invalid(f"[{title}]{option.name}: {reason}") from error
    return values


def _ipv6(read: Values, group: dict[str, Any]) -> Ipv6 | None:
    prefix = prefix6(f"{read.title}ipv6_prefix", group["ipv6_prefix"])
    if prefix is None:
        if group["ipv6_mode"] != ADVERTISE or group["ipv6_next_server"]:
            raise Invalid(f"{read.title}ipv6_prefix is needed for ipv6_mode and ipv6_next_server.")
        return None
    if group["relay"]:
        raise Invalid(
            f"{read.title}ipv6_prefix: routers are advertised on our own interfaces only, and this "
            "subnet is behind a relay; have its router advertise, and leave the prefix empty."
        )
    leased = None
    if group["ipv6_mode"] == STATEFUL:
        leased = read.range6(group["ipv6_range_start"], group["ipv6_range_end"], prefix)
    text = group["ipv6_next_server"]
    return Ipv6(
        prefix, group["ipv6_mode"], leased, read.ipv6("ipv6_next_server", text) if text else None
    )


def _check_range(
    read: Values, leased: tuple[IPv4Address, IPv4Address], other: IPv4Address | None, option: str
) -> None:
    if other is not None and leased[0] <= other <= leased[1]:
        raise Invalid(
            f"{read.title}{option} {other} lies in the range {leased[0]} to {leased[1]}, which is "
            "for machines."
        )


def _check_apart(subnets: Sequence[Subnet]) -> None:
    for number, subnet in enumerate(subnets):
        for other in subnets[:number]:
            if subnet.network.overlaps(other.network):
                raise Invalid(
                    f"[subnet:{subnet.name}]cidr {subnet.network} overlaps {other.network} of "
                    f"[subnet:{other.name}]."
                )
