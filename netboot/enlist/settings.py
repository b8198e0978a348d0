"""Which machines that nobody knows may boot, and what: [enlist], checked once and frozen."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from drophammer.bootspec import check_parameters
from drophammer.errors import Invalid
from netboot.resources.names import ImageId
from netboot.subnets import DhcpSettings


@dataclass(frozen=True)
class EnlistSettings:
    """``networks`` are those in which unknown machines boot; none of them means nowhere."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    image: ImageId | None = None
    parameters: tuple[str, ...] = ()

    @classmethod
    def from_conf(cls, conf: Any, dhcp: DhcpSettings | None) -> EnlistSettings:
        """Read and check [enlist]; ``dhcp`` has the subnets. Raises Invalid, naming the option."""
        group = conf.enlist
        parameters = check_parameters(group.kernel_append_params, "[enlist]kernel_append_params")
        image = _image(group.image) if group.image else None
        if not group.enabled:
            return cls(image=image, parameters=parameters)
        networks = [_network(text) for text in group.networks]
        for subnet in dhcp.subnets if dhcp else ():
            if subnet.enlist:
                networks.append(subnet.network)
                networks += [subnet.ipv6.prefix] if subnet.ipv6 else []
        return cls(tuple(networks), image, parameters)

    def allows(self, client: str) -> bool:
        """Whether an unknown machine with this IP address may boot."""
        address = ipaddress.ip_address(client)
        return any(address in network for network in self.networks)


def _image(text: str) -> ImageId:
    try:
        return ImageId.parse(text)
    except Invalid as error:
        raise Invalid(f"[enlist]image: {error.message}") from None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise Invalid(f"[enlist]networks has {text!r} in it: {error}.") from None
