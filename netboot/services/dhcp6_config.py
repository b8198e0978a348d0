"""The configuration of dnsmasq for IPv6: router advertisements, DHCPv6 and the boot file URL.

Pure. A process of its own, so that neither half of DHCP goes down with the other.
"""

from __future__ import annotations

from netboot.dhcp.architectures import ARCHITECTURES, HTTP_CLIENT
from netboot.services.dhcp_config import Account, DhcpFiles, Places, server, tag_of
from netboot.subnets import STATEFUL, STATELESS, DhcpSettings, Ipv6, Subnet

_TEXT = "option6:bootfile-url"
# Vendor class (option 16) is a number of four bytes, then texts with their lengths. dnsmasq writes
# texts only; so the number is made of the length of a text of two letters, and the text. UEFI's
# firmware looks at what follows it.
_VENDOR_CLASS = f"option6:16,ue,{HTTP_CLIENT}"


def render(dhcp: DhcpSettings, *, places: Places, files: DhcpFiles, account: Account) -> str:
    """dnsmasq.conf."""
    interfaces = tuple(dict.fromkeys(subnet.interface for subnet in dhcp.served6))
    lines = [*server(interfaces, files, account), "log-dhcp", "enable-ra", *_ignored(dhcp)]
    # A lifetime of 0: "a network is here, but no way out". iPXE waits for an advertisement,
    # and the default router of machines stays whoever it is.
    lines += [f"ra-param={name},4,0" for name in interfaces]
    if any(subnet.ipv6 and subnet.ipv6.next_server for subnet in dhcp.served6):
        lines += _matches()
    for subnet in dhcp.served6:
        assert subnet.ipv6 is not None
        lines.append(_range(subnet, subnet.ipv6))
        if subnet.ipv6.next_server is not None:
            lines += _loaders(subnet, places.at(subnet.ipv6.next_server))
    return "\n".join([*lines, ""])


def _ignored(dhcp: DhcpSettings) -> list[str]:
    quiet = {subnet.interface for subnet in dhcp.served6 if not subnet.enlist}
    if not any(subnet.enlist for subnet in dhcp.served6):
        return ["dhcp-ignore=tag:!known"]
    return [f"dhcp-ignore=tag:!known,tag:{name}" for name in sorted(quiet)]


def _range(subnet: Subnet, ipv6: Ipv6) -> str:
    """The mode also sets the flags of advertisements: M for stateful, O for stateless."""
    tag, seconds = tag_of(subnet), subnet.lease_seconds
    if ipv6.mode == STATEFUL and ipv6.range is not None:
        start, end = ipv6.range
        return f"dhcp-range=set:{tag},{start},{end},{ipv6.prefix.prefixlen},{seconds}"
    kind = "ra-stateless" if ipv6.mode == STATELESS else "ra-only"
    prefix = ipv6.prefix
    return f"dhcp-range=set:{tag},{prefix.network_address},{kind},{prefix.prefixlen},{seconds}"


def _matches() -> list[str]:
    """Option 61 has the numbers of DHCPv4's option 93; iPXE is known by its user class."""
    lines = ["dhcp-userclass=set:ipxe,iPXE"]
    for kind in ARCHITECTURES:
        lines += [f"dhcp-match=set:{kind.tag},option6:61,{one}" for one in kind.numbers]
    return lines


def _loaders(subnet: Subnet, places: Places) -> list[str]:
    tag, lines = tag_of(subnet), []
    for kind in ARCHITECTURES:
        tags = f"tag:{tag},tag:{kind.tag}"
        if kind.http and (not subnet.http_boot or not places.http_url):
            continue
        base = places.http_url if kind.http else f"tftp://[{places.address}]"
        lines += [
            f"dhcp-option={tags},tag:pxe,{_TEXT},{base}/{kind.pxe}",
            f"dhcp-option={tags},tag:!pxe,tag:!ipxe,{_TEXT},{base}/{kind.ipxe}",
        ]
        if kind.http:
            lines.append(f"dhcp-option={tags},{_VENDOR_CLASS}")
    lines.append(f"dhcp-option=tag:{tag},tag:!pxe,tag:ipxe,{_TEXT},{places.script_url}")
    return lines
