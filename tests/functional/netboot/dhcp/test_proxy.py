"""Mode proxy: somebody else gives the addresses, and we add what is needed to boot."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from embedded.cli import main
from netboot.dhcp import options
from netboot.dhcp.packet import text
from netboot.dhcp.personas import PERSONAS, discover
from netboot.dhcp.verdict import judge
from tests.patience import PATIENCE

MAC, PXE, OTHER = "52:54:00:22:00:01", "52:54:00:22:00:02", "52:54:00:22:00:99"
HOSTS = ((MAC, "ipxe", None), (PXE, "pxe", None))
US, STRANGER = IPv4Address("172.22.0.1"), IPv4Address("172.22.0.9")
PROXY = """
[dhcp]
subnets = rack1
[subnet:rack1]
cidr = 172.22.0.0/24
mode = proxy
"""
FOREIGN = ("--interface=card0", "--dhcp-range=172.22.0.200,172.22.0.250,255.255.255.0,1h")


def test_a_machine_gets_its_address_from_the_other_server_and_its_file_from_us(
    net: Any, serve: Any, machine: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.stranger, *FOREIGN)
    running = serve(PROXY, *HOSTS)
    asker = machine(net.client, MAC)
    offers = asker.client.ask(asker.discover(), 3, enough=2)
    by_server = {offer.server: offer.packet for offer in offers}
    assert by_server[STRANGER].yiaddr.packed[:3] == bytes([172, 22, 0])
    ours = by_server[US]
    assert (ours.yiaddr, ours.boot_file) == (IPv4Address(0), "undionly.kpxe")
    assert text(ours.option(options.VENDOR_CLASS) or b"") == "PXEClient"
    verdict = judge(PERSONAS["bios"], offers, ipxe=False)
    assert verdict.good
    assert str(verdict.file) == "undionly.kpxe by TFTP from 172.22.0.1"
    # The other server is meant to be there.
    assert running.sightings == []


def test_each_kind_of_client_is_told_its_file_by_the_proxy(
    net: Any, serve: Any, machine: Any
) -> None:
    serve(PROXY, *HOSTS)
    pxe, mine = machine(net.client, PXE), machine(net.client, MAC)
    assert pxe.offer("bios").boot_file == "pxelinux.0"
    assert mine.offer("bios", ipxe=True).boot_file == "tftp://172.22.0.1/boot.ipxe"
    http = mine.offer("http")
    assert text(http.option(60) or b"") == "HTTPClient"
    assert http.boot_file == "http://172.22.0.1:8080/snponly.efi"


def test_uefi_asks_the_boot_server_on_its_port_4011(net: Any, serve: Any, machine: Any) -> None:
    serve(PROXY, *HOSTS)
    net.ip("addr replace 172.22.0.30/24 dev card0", net.client)
    try:
        for mac, arch, file in (
            (MAC, "uefi", "snponly.efi"),
            (PXE, "uefi", "bootx64.efi"),
            (PXE, "arm64", "grubaa64.efi"),
        ):
            asker = machine(net.client, mac)
            offer = asker.offer(arch)
            assert offer.siaddr == US
            question = discover(PERSONAS[arch], asker.mac, 77, kind=options.REQUEST)
            told = asker.client.ask_boot_server(
                question.sent_from(IPv4Address("172.22.0.30")), US, PATIENCE
            )
            assert told is not None
            assert options.message_type(told) == options.ACK
            assert (told.boot_file or text(told.option(67) or b"")) == file
    finally:
        net.ip("addr flush dev card0", net.client)


def test_unknown_machines_and_systems_get_no_answer_from_a_proxy(
    net: Any, serve: Any, machine: Any
) -> None:
    serve(PROXY, *HOSTS)
    assert machine(net.client, OTHER).offers() == []
    assert machine(net.client, MAC).offers("system") == []


MIXED = """
[dhcp]
subnets = rack1, rack2
[subnet:rack1]
cidr = 172.22.0.0/24
range_start = 172.22.0.50
range_end = 172.22.0.99
[subnet:rack2]
cidr = 10.2.0.0/24
relay = 10.2.0.1
mode = proxy
"""


def test_a_proxy_and_a_server_of_ours_stand_side_by_side(
    net: Any, serve: Any, machine: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.relay, "--dhcp-relay=10.2.0.1,172.22.0.1", "--interface=down0", "--interface=card0")
    serve(MIXED, *HOSTS)
    near = machine(net.client, MAC)
    assert near.offer("bios").yiaddr != IPv4Address(0)
    http = near.offer("http")
    assert [one.data for one in http.options if one.code == 60] == [b"HTTPClient"]
    assert text(http.option(67) or b"") == "http://172.22.0.1:8080/snponly.efi"
    far = machine(net.far, MAC).offer("bios")
    assert (far.yiaddr, far.boot_file) == (IPv4Address(0), "undionly.kpxe")


def test_the_doctor_puts_the_two_answers_together(
    net: Any, serve: Any, dnsmasq: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    dnsmasq(net.stranger, *FOREIGN)
    serve(PROXY, *HOSTS)
    argv = ["doctor", "dhcp", "--interface", "card0", "--namespace", net.client, "--arch", "uefi"]
    # There is no TFTP server in this network.
    for seconds in ("0.6", "10"):  # Who stood still for the first of these asks again.
        assert main([*argv, "--mac", PXE, "--seconds", seconds]) == 1
        out = capsys.readouterr().out
        if out.count("OFFER from ") == 2 and "loads bootx64.efi" in out:
            break
    assert "OFFER from 172.22.0.9 (" in out
    assert "OFFER from 172.22.0.1 (" in out
    assert "address: none (a proxy" in out
    assert "loads bootx64.efi by TFTP from 172.22.0.1." in out
    assert "bootx64.efi by TFTP from 172.22.0.1 cannot be had: " in out
