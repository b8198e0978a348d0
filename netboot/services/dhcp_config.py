"""The configuration of dnsmasq as a DHCP server for network boot: text, made of settings.

Pure. Which loader a machine is told to fetch is decided here, by tags; the chains
are told in docs/booting.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drophammer.bootspec import normal_mac
from netboot.loaders import BIOS_IPXE, BIOS_PXELINUX, UEFI_IPXE, UEFI_SHIM
from netboot.settings import DhcpSettings

PXE_INTERFACE = "pxe"
"""The boot interface (node field) whose machines get plain PXE loaders."""


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


def render(
    dhcp: DhcpSettings, *, address: str, script_url: str, files: DhcpFiles, user: str, group: str
) -> str:
    """dnsmasq.conf. ``address`` is that of TFTP, ``script_url`` that of the first iPXE script.

    ``user`` and ``group`` are those of this process: dnsmasq gives up root for
    another user otherwise, could not read the hosts again, and changing them makes
    Linux forget that it is to end with its parent.
    """
    return "\n".join(
        [
            *_server(dhcp, files, user, group),
            *_leases(dhcp, files),
            *_loaders(address, script_url),
            *_advertisement(dhcp),
            "",
        ]
    )


def render_hosts(hosts: Iterable[tuple[str, str | None]]) -> str:
    """The file of known machines from (MAC, boot interface).

    ``id:*`` keeps one lease per network card: firmware, iPXE and Linux send different
    client identifiers, and each would take an address of its own.
    """
    lines = []
    for mac, boot_interface in hosts:
        tag = ",set:pxe" if boot_interface == PXE_INTERFACE else ""
        lines.append(f"{normal_mac(mac)},id:*{tag}\n")
    return "".join(lines)


def _server(dhcp: DhcpSettings, files: DhcpFiles, user: str, group: str) -> list[str]:
    return [
        "port=0",
        f"interface={dhcp.interface}",
        "except-interface=lo",
        "bind-interfaces",
        f"user={user}",
        f"group={group}",
        f"pid-file={files.pid}",
        "no-resolv",
        "no-hosts",
        "log-facility=-",
        "log-dhcp",
    ]


def _leases(dhcp: DhcpSettings, files: DhcpFiles) -> list[str]:
    addresses = f"{dhcp.range_start},{dhcp.range_end},{dhcp.network.netmask}"
    dns = ",".join(str(server) for server in dhcp.dns)
    return [
        f"dhcp-range={addresses},{dhcp.lease_seconds}",
        f"dhcp-leasefile={files.leases}",
        f"dhcp-hostsfile={files.hosts}",
        "dhcp-ignore=tag:!known",
        "dhcp-authoritative",
        # Known machines only, each with one lease: probing addresses first would cost
        # every boot seconds.
        "no-ping",
        # An option without a value is not sent; dnsmasq would name itself as router.
        f"dhcp-option=option:router{f',{dhcp.router}' if dhcp.router else ''}",
        f"dhcp-option=option:dns-server{f',{dns}' if dns else ''}",
    ]


def _loaders(address: str, script_url: str) -> list[str]:
    """One line for each kind of client; the tags shut each other out.

    Client architectures (option 93, RFC 4578): 0 is BIOS, 7 and 9 are 64-bit x86 UEFI.
    """
    return [
        "dhcp-match=set:ipxe,175",
        "dhcp-match=set:bios,option:client-arch,0",
        "dhcp-match=set:uefi,option:client-arch,7",
        "dhcp-match=set:uefi,option:client-arch,9",
        _boot("tag:pxe,tag:bios", BIOS_PXELINUX, address),
        _boot("tag:pxe,tag:uefi", UEFI_SHIM, address),
        _boot("tag:!pxe,tag:!ipxe,tag:bios", BIOS_IPXE, address),
        _boot("tag:!pxe,tag:!ipxe,tag:uefi", UEFI_IPXE, address),
        _boot("tag:!pxe,tag:ipxe", script_url, address),
        # no-pxedhcp (176 within 175): iPXE need not wait for a proxy DHCP server.
        "dhcp-option=tag:ipxe,encap:175,176,1b",
    ]


def _boot(tags: str, file: str, address: str) -> str:
    # The server's name is given as its address, for firmware that reads option 66 only.
    return f"dhcp-boot={tags},{file},{address},{address}"


def _advertisement(dhcp: DhcpSettings) -> list[str]:
    """Router advertisements with a lifetime of 0: "a network is here, but no way out".

    iPXE waits for one, and the default router of machines stays whoever it is.
    """
    if dhcp.ipv6_prefix is None:
        return []
    prefix = dhcp.ipv6_prefix
    return [
        "enable-ra",
        f"dhcp-range={prefix.network_address},ra-only,{prefix.prefixlen},{dhcp.lease_seconds}",
        f"ra-param={dhcp.interface},4,0",
    ]
