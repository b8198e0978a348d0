"""The dnsmasq configurations, letter by letter, and the list of known machines."""

from __future__ import annotations

import pathlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from drophammer.errors import Invalid
from netboot.dhcp import hosts
from netboot.dhcp.hosts import Host
from netboot.services import dhcp6_config, dhcp_config
from netboot.services.dhcp_config import Account, DhcpFiles, Places
from netboot.subnets import DhcpSettings, Ipv6, Subnet

SUBNET = Subnet(
    name="rack1",
    network=IPv4Network("172.22.0.0/24"),
    interface="br0",
    range=(IPv4Address("172.22.0.50"), IPv4Address("172.22.0.99")),
    ipv6=Ipv6(IPv6Network("fd00:22::/64")),
)
US = IPv4Address("172.22.0.1")
HEAD = """\
port=0
interface=br0
except-interface=lo
bind-interfaces
user=root
group=root
pid-file=/s/dnsmasq.pid
dhcp-leasefile=/s/leases
dhcp-hostsfile=/s/hosts
no-resolv
no-hosts
log-facility=-
log-dhcp
"""
EXPECTED = f"""\
{HEAD}dhcp-ignore=tag:!known
dhcp-authoritative
no-ping
dhcp-no-override
dhcp-match=set:ipxe,175
dhcp-userclass=set:ipxe,iPXE
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:uefi,option:client-arch,7
dhcp-match=set:uefi,option:client-arch,9
dhcp-match=set:arm64,option:client-arch,11
dhcp-match=set:ppc64el,option:client-arch,12
dhcp-match=set:http,option:client-arch,16
dhcp-match=set:http-arm64,option:client-arch,19
dhcp-option-force=tag:http,tag:!ipxe,60,HTTPClient
dhcp-option-force=tag:http-arm64,tag:!ipxe,60,HTTPClient
dhcp-range=tag:known,set:subnet-rack1,172.22.0.50,172.22.0.99,255.255.255.0,3600
dhcp-option=tag:subnet-rack1,1,255.255.255.0
dhcp-option=tag:subnet-rack1,28,172.22.0.255
dhcp-option=tag:subnet-rack1,option:router
dhcp-option=tag:subnet-rack1,option:dns-server
dhcp-boot=tag:subnet-rack1,tag:pxe,tag:bios,pxelinux.0,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:bios,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:bios,67,pxelinux.0
dhcp-boot=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:bios,undionly.kpxe,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:bios,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:bios,67,undionly.kpxe
dhcp-boot=tag:subnet-rack1,tag:pxe,tag:uefi,bootx64.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:uefi,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:uefi,67,bootx64.efi
dhcp-boot=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:uefi,snponly.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:uefi,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:uefi,67,snponly.efi
dhcp-boot=tag:subnet-rack1,tag:pxe,tag:arm64,grubaa64.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:arm64,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:arm64,67,grubaa64.efi
dhcp-boot=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:arm64,snponly-arm64.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:arm64,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:arm64,67,snponly-arm64.efi
dhcp-boot=tag:subnet-rack1,tag:ppc64el,bootppc64.bin,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:ppc64el,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:ppc64el,67,bootppc64.bin
dhcp-boot=tag:subnet-rack1,tag:pxe,tag:http,http://172.22.0.1:8080/bootx64.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:http,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:http,67,http://172.22.0.1:8080/bootx64.efi
dhcp-boot=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:http,http://172.22.0.1:8080/snponly.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:http,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:http,67,http://172.22.0.1:8080/snponly.efi
dhcp-boot=tag:subnet-rack1,tag:pxe,tag:http-arm64,http://172.22.0.1:8080/grubaa64.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:http-arm64,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:pxe,tag:http-arm64,67,http://172.22.0.1:8080/grubaa64.efi
dhcp-boot=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:http-arm64,http://172.22.0.1:8080/snponly-arm64.efi,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:http-arm64,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:!ipxe,tag:http-arm64,67,http://172.22.0.1:8080/snponly-arm64.efi
dhcp-boot=tag:subnet-rack1,tag:!pxe,tag:ipxe,tftp://172.22.0.1/boot.ipxe,172.22.0.1,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:ipxe,66,172.22.0.1
dhcp-option=tag:subnet-rack1,tag:!pxe,tag:ipxe,67,tftp://172.22.0.1/boot.ipxe
dhcp-option=tag:subnet-rack1,tag:ipxe,encap:175,176,1b
"""
EXPECTED6 = f"""\
{HEAD}enable-ra
dhcp-ignore=tag:!known
ra-param=br0,4,0
dhcp-range=set:subnet-rack1,fd00:22::,ra-only,64,3600
"""
ACCOUNT = Account("root", "root")
FILES = DhcpFiles.below(pathlib.Path("/s"))
PLACES = Places("172.22.0.1", "tftp://172.22.0.1/boot.ipxe", "http://172.22.0.1:8080")


def rendered(*subnets: Subnet, places: Places = PLACES) -> str:
    return dhcp_config.render(DhcpSettings(subnets), places=places, files=FILES, account=ACCOUNT)


def rendered6(*subnets: Subnet) -> str:
    return dhcp6_config.render(DhcpSettings(subnets), places=PLACES, files=FILES, account=ACCOUNT)


def test_the_configuration_says_who_gets_which_loader() -> None:
    assert rendered(SUBNET) == EXPECTED


def test_the_configuration_for_ipv6_advertises_a_network_and_no_way_out() -> None:
    assert rendered6(SUBNET) == EXPECTED6


def test_router_and_name_servers_are_handed_out_when_there_are_some() -> None:
    names = (IPv4Address("172.22.0.2"), IPv4Address("172.22.0.3"))
    text = rendered(replace(SUBNET, router=IPv4Address("172.22.0.254"), dns=names))
    assert "dhcp-option=tag:subnet-rack1,option:router,172.22.0.254\n" in text
    assert "dhcp-option=tag:subnet-rack1,option:dns-server,172.22.0.2,172.22.0.3\n" in text


def test_without_a_server_for_it_http_boot_is_not_answered() -> None:
    text = rendered(SUBNET, places=replace(PLACES, http_url=""))
    assert "http://" not in text
    assert "http://" not in rendered(replace(SUBNET, http_boot=False))


def test_a_next_server_takes_the_place_of_our_address_in_every_url() -> None:
    text = rendered(replace(SUBNET, next_server=IPv4Address("172.22.0.8")))
    boots = [line for line in text.splitlines() if line.startswith("dhcp-boot")]
    assert boots
    assert all("172.22.0.1" not in line and "172.22.0.8" in line for line in boots)


def test_ipv6_firmware_is_told_urls_only_where_there_is_a_server_for_them() -> None:
    next_server = IPv6Address("fd00:22::1")
    text = rendered6(
        replace(SUBNET, ipv6=Ipv6(IPv6Network("fd00:22::/64"), "stateless", None, next_server))
    )
    assert "dhcp-range=set:subnet-rack1,fd00:22::,ra-stateless,64,3600\n" in text
    assert "bootfile-url,tftp://[fd00:22::1]/boot.ipxe\n" in text
    assert "bootfile-url,http://[fd00:22::1]:8080/snponly.efi\n" in text


def test_a_text_option_is_written_as_bytes() -> None:
    text = rendered(replace(SUBNET, path_prefix="10.0.0.1"))
    assert ",210,31:30:2e:30:2e:30:2e:31\n" in text


SETTINGS = DhcpSettings((SUBNET,))


def test_machines_with_the_boot_interface_pxe_are_marked() -> None:
    found = [
        Host("52:54:00:22:00:01", "pxe"),
        Host("52:54:00:22:00:02", "ipxe", "172.22.0.7"),
        Host("52:54:00:22:00:03", None),
    ]
    text, problems = hosts.render(found, SETTINGS, US)
    assert text == (
        "52:54:00:22:00:01,id:*,set:pxe\n"
        "52:54:00:22:00:02,id:*\n"
        "52:54:00:22:00:02,id:*,172.22.0.7\n"
        "52:54:00:22:00:03,id:*\n"
    )
    assert not problems
    assert hosts.render6(found) == (
        "52:54:00:22:00:01,id:*,set:pxe\n52:54:00:22:00:02,id:*\n52:54:00:22:00:03,id:*\n"
    )


@pytest.mark.parametrize(
    "wish",
    [
        "172.22.0.7\ndhcp-script=/bin/sh",
        "172.22.0.1",
        "172.22.0.0",
        "172.22.0.255",
        "10.0.0.1",
        "fd00:22::7",
        "",
        7,
        {"a": 1},
        ["172.22.0.7"],
        "x" * 10_000,
    ],
)
def test_an_address_that_cannot_be_kept_is_told_and_left_out(wish: object) -> None:
    text, problems = hosts.render([Host("52:54:00:22:00:01", None, wish)], SETTINGS, US)
    assert text == "52:54:00:22:00:01,id:*\n"
    (sentence,) = problems
    assert "No address is kept for 52:54:00:22:00:01" in sentence
    assert len(sentence) < 400
    assert "\n" not in sentence


def test_a_host_that_is_no_mac_address_cannot_write_into_the_file() -> None:
    for render in (lambda found: hosts.render(found, SETTINGS, US), hosts.render6):
        with pytest.raises(Invalid):
            render([Host("52:54:00:22:00:01\ndhcp-script=/bin/sh", None)])
