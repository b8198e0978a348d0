"""The dnsmasq configuration, letter by letter, and the list of known machines."""

from __future__ import annotations

import ipaddress
import pathlib
from dataclasses import replace

import pytest

from drophammer.errors import Invalid
from netboot.services.dhcp_config import DhcpFiles, render, render_hosts
from netboot.settings import DhcpSettings

DHCP = DhcpSettings(
    interface="br0",
    range_start=ipaddress.IPv4Address("172.22.0.50"),
    range_end=ipaddress.IPv4Address("172.22.0.99"),
    network=ipaddress.IPv4Network("172.22.0.0/24"),
    lease_seconds=3600,
    router=None,
    dns=(),
    ipv6_prefix=ipaddress.IPv6Network("fd00:22::/64"),
    program="dnsmasq",
)
EXPECTED = """\
port=0
interface=br0
except-interface=lo
bind-interfaces
user=root
group=root
pid-file=/s/dnsmasq.pid
no-resolv
no-hosts
log-facility=-
log-dhcp
dhcp-range=172.22.0.50,172.22.0.99,255.255.255.0,3600
dhcp-leasefile=/s/leases
dhcp-hostsfile=/s/hosts
dhcp-ignore=tag:!known
dhcp-authoritative
no-ping
dhcp-option=option:router
dhcp-option=option:dns-server
dhcp-match=set:ipxe,175
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:uefi,option:client-arch,7
dhcp-match=set:uefi,option:client-arch,9
dhcp-boot=tag:pxe,tag:bios,pxelinux.0,172.22.0.1,172.22.0.1
dhcp-boot=tag:pxe,tag:uefi,bootx64.efi,172.22.0.1,172.22.0.1
dhcp-boot=tag:!pxe,tag:!ipxe,tag:bios,undionly.kpxe,172.22.0.1,172.22.0.1
dhcp-boot=tag:!pxe,tag:!ipxe,tag:uefi,snponly.efi,172.22.0.1,172.22.0.1
dhcp-boot=tag:!pxe,tag:ipxe,http://172.22.0.1:8080/boot.ipxe,172.22.0.1,172.22.0.1
dhcp-option=tag:ipxe,encap:175,176,1b
enable-ra
dhcp-range=fd00:22::,ra-only,64,3600
ra-param=br0,4,0
"""


def rendered(dhcp: DhcpSettings) -> str:
    return render(
        dhcp,
        address="172.22.0.1",
        script_url="http://172.22.0.1:8080/boot.ipxe",
        files=DhcpFiles.below(pathlib.Path("/s")),
        user="root",
        group="root",
    )


def test_the_configuration_says_who_gets_which_loader() -> None:
    assert rendered(DHCP) == EXPECTED


def test_without_a_prefix_no_router_is_advertised() -> None:
    text = rendered(replace(DHCP, ipv6_prefix=None))
    assert "ra" not in {line.split("=")[0].split("-")[0] for line in text.splitlines()}
    assert "enable-ra" not in text


def test_router_and_name_servers_are_handed_out_when_there_are_some() -> None:
    names = tuple(map(ipaddress.IPv4Address, ("172.22.0.2", "172.22.0.3")))
    text = rendered(replace(DHCP, router=ipaddress.IPv4Address("172.22.0.254"), dns=names))
    assert "dhcp-option=option:router,172.22.0.254\n" in text
    assert "dhcp-option=option:dns-server,172.22.0.2,172.22.0.3\n" in text


def test_machines_with_the_boot_interface_pxe_are_marked() -> None:
    hosts = [
        ("52:54:00:22:00:01", "pxe"),
        ("52:54:00:22:00:02", "ipxe"),
        ("52:54:00:22:00:03", None),
    ]
    assert render_hosts(hosts) == (
        "52:54:00:22:00:01,id:*,set:pxe\n52:54:00:22:00:02,id:*\n52:54:00:22:00:03,id:*\n"
    )


def test_a_host_that_is_no_mac_address_cannot_write_into_the_file() -> None:
    with pytest.raises(Invalid):
        render_hosts([("52:54:00:22:00:01\ndhcp-script=/bin/sh", None)])
