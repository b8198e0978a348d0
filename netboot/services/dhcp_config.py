"""The configuration of dnsmasq as a DHCP server for network boot: text, made of settings.

Pure. Which loader a machine is told to fetch is decided here, by tags, out of the table in
dhcp/architectures.py; the chains are told in docs/booting.md. DHCPv6 is in dhcp6_config.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from netboot.dhcp.architectures import ARCHITECTURES, HTTP_CLIENT, PXE_CLIENT
from netboot.subnets import PROXY, SERVER, DhcpSettings, Subnet


@dataclass(frozen=True)
class DhcpFiles:
    """The files of one dnsmasq, all in a folder of ours."""

    config: Path
    hosts: Path
    leases: Path
    pid: Path

    @classmethod
    def below(cls, folder: Path) -> DhcpFiles:
        return cls(
            folder / "dnsmasq.conf",
            folder / "hosts",
            folder / "leases",
            folder / "dnsmasq.pid",
        )


@dataclass(frozen=True)
class Account:
    """Whom dnsmasq runs as: this process's own user and group.

    dnsmasq gives up root for another user otherwise, could not read the hosts again, and
    changing them makes Linux forget that it is to end with its parent.
    """

    user: str
    group: str


@dataclass(frozen=True)
class Places:
    """Where machines find things: TFTP's address, the first iPXE script, the HTTP server.

    ``http_url`` is empty when there is no HTTP server.
    """

    address: str
    script_url: str
    http_url: str = ""

    def at(self, own: IPv4Address | IPv6Address | None) -> Places:
        """The same places under another address of this host."""
        if own is None:
            return self
        host = f"[{own}]" if own.version == 6 else str(own)
        return Places(str(own), _moved(self.script_url, host), _moved(self.http_url, host))


def _moved(url: str, host: str) -> str:
    if not url:
        return ""
    parts = urlsplit(url)
    netloc = f"{host}:{parts.port}" if parts.port else host
    return parts._replace(netloc=netloc).geturl()


def render(dhcp: DhcpSettings, *, places: Places, files: DhcpFiles, account: Account) -> str:
    """dnsmasq.conf."""
    lines = [
        *server(dhcp.interfaces, files, account),
        "log-dhcp",
        *_who_is_answered(dhcp),
        *_matches(),
        *_clients(dhcp),
    ]
    for subnet in dhcp.served:
        lines += _range(subnet)
        lines += _loaders(subnet, places.at(subnet.next_server))
        lines += _paths(subnet)
    # no-pxedhcp (176 within 175): iPXE need not wait for a proxy DHCP server.
    for subnet in dhcp.served:
        if subnet.mode == SERVER:
            lines.append(f"dhcp-option=tag:{tag_of(subnet)},tag:ipxe,encap:175,176,1b")
    return "\n".join([*lines, ""])


def server(interfaces: Sequence[str], files: DhcpFiles, account: Account) -> list[str]:
    """What any dnsmasq of ours is told of itself."""
    return [
        "port=0",
        *(f"interface={name}" for name in interfaces),
        "except-interface=lo",
        "bind-interfaces",
        f"user={account.user}",
        f"group={account.group}",
        f"pid-file={files.pid}",
        f"dhcp-leasefile={files.leases}",
        f"dhcp-hostsfile={files.hosts}",
        "no-resolv",
        "no-hosts",
        "log-facility=-",
    ]


def tag_of(subnet: Subnet) -> str:
    """The tag that dnsmasq gives to requests from a subnet."""
    return f"subnet-{subnet.name}"


def _who_is_answered(dhcp: DhcpSettings) -> list[str]:
    """Known machines, and in subnets with ``enlist`` all.

    dnsmasq decides whom to ignore before it knows the subnet, but knows the interface. Where
    both kinds of subnet share one, it is their ranges that leave unknown machines out; then it
    must not be authoritative, since it would refuse those machines the addresses they have.
    """
    quiet = {subnet.interface for subnet in dhcp.served if not subnet.enlist}
    open_ = {subnet.interface for subnet in dhcp.served if subnet.enlist}
    if not open_:
        lines = ["dhcp-ignore=tag:!known"]
    else:
        lines = [f"dhcp-ignore=tag:!known,tag:{name}" for name in sorted(quiet - open_)]
    if not quiet & open_ and any(subnet.mode == SERVER for subnet in dhcp.served):
        lines.append("dhcp-authoritative")
    # Known machines only, each with one lease: probing addresses first would cost
    # every boot seconds.
    return [*lines, "no-ping", "dhcp-no-override"]


def _range(subnet: Subnet) -> list[str]:
    tag = tag_of(subnet)
    known = "" if subnet.enlist else "tag:known,"
    if subnet.mode == PROXY or subnet.range is None:
        network = subnet.network
        return [f"dhcp-range=set:{tag},{network.network_address},proxy,{network.netmask}"]
    start, end = subnet.range
    leased = f"{start},{end},{subnet.network.netmask},{subnet.lease_seconds}"
    lines = [
        f"dhcp-range={known}set:{tag},{leased}",
        # Named here, they are sent to those who ask; dnsmasq sends its own to everybody.
        _option(tag, "1", [subnet.network.netmask]),
        _option(tag, "28", [subnet.network.broadcast_address]),
        # An option without a value is not sent; dnsmasq would name itself as router.
        _option(tag, "option:router", [subnet.router] if subnet.router else []),
        _option(tag, "option:dns-server", subnet.dns),
    ]
    if subnet.ntp:
        lines.append(_option(tag, "option:ntp-server", subnet.ntp))
    return lines


def _option(tag: str, name: str, values: Sequence[IPv4Address]) -> str:
    return ",".join([f"dhcp-option=tag:{tag}", name, *map(str, values)])


def _matches() -> list[str]:
    """What a client is: by option 93; iPXE by its own option 175, or by its user class."""
    lines = ["dhcp-match=set:ipxe,175", "dhcp-userclass=set:ipxe,iPXE"]
    for kind in ARCHITECTURES:
        lines += [f"dhcp-match=set:{kind.tag},option:client-arch,{one}" for one in kind.numbers]
    return lines


def _loaders(subnet: Subnet, places: Places) -> list[str]:
    """Lines for each kind of client; the tags shut each other out."""
    tag, lines = f"tag:{tag_of(subnet)}", []
    for kind in ARCHITECTURES:
        if kind.http and not (subnet.http_boot and places.http_url):
            continue
        base = f"{places.http_url}/" if kind.http else ""
        if kind.ipxe == kind.pxe:
            lines += _boot(f"{tag},tag:{kind.tag}", base + kind.pxe, places.address)
            continue
        lines += _boot(f"{tag},tag:pxe,tag:{kind.tag}", base + kind.pxe, places.address)
        ours = f"{tag},tag:!pxe,tag:!ipxe,tag:{kind.tag}"
        lines += _boot(ours, base + kind.ipxe, places.address)
    return [*lines, *_boot(f"{tag},tag:!pxe,tag:ipxe", places.script_url, places.address)]


def _clients(dhcp: DhcpSettings) -> list[str]:
    """As what we answer: a server for PXE, and for HTTP boot, calls itself what the client does.

    UEFI takes a URL as boot file only from a server that is HTTPClient in option 60.
    """
    if any(subnet.mode == PROXY for subnet in dhcp.served):
        # A service for nobody: with one, dnsmasq opens port 4011 and answers as proxy. The boot
        # files are those of dhcp-boot all the same.
        return [
            "pxe-service=tag:nobody,x86PC,none",
            f"dhcp-pxe-vendor={PXE_CLIENT},{HTTP_CLIENT}",
        ]
    return [
        f"dhcp-option-force=tag:{kind.tag},tag:!ipxe,60,{HTTP_CLIENT}"
        for kind in ARCHITECTURES
        if kind.http and any(subnet.http_boot for subnet in dhcp.served)
    ]


def _paths(subnet: Subnet) -> list[str]:
    """Options 209 and 210.

    Forced: pxelinux reads them from an answer that the firmware, which does not know them,
    asked for.
    """
    return [
        f"dhcp-option-force=tag:{tag_of(subnet)},tag:pxe,{number},{_bytes(text)}"
        for number, text in ((209, subnet.config_file), (210, subnet.path_prefix))
        if text
    ]


def _boot(tags: str, file: str, address: str) -> list[str]:
    """The file in BOOTP's field and, for those who ask, as option 67; the server likewise.

    The server's name (option 66) is its address, for firmware that reads nothing else.
    """
    return [
        f"dhcp-boot={tags},{file},{address},{address}",
        f"dhcp-option={tags},66,{address}",
        f"dhcp-option={tags},67,{file}",
    ]


def _bytes(text: str) -> str:
    """Text that dnsmasq cannot take for a number or an address: its bytes."""
    return ":".join(f"{byte:02x}" for byte in text.encode())
