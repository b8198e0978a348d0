"""What a machine makes of the answers that it got."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.dhcp import describe
from netboot.dhcp.client import Offer
from netboot.dhcp.packet import Option, Packet
from netboot.dhcp.personas import PERSONAS, discover
from netboot.dhcp.verdict import judge

MAC = bytes.fromhex("525400220001")
ONE, TWO = IPv4Address("172.22.0.1"), IPv4Address("172.22.0.9")


def offer(
    *options: Option, server: IPv4Address = ONE, address: str = "172.22.0.50", siaddr: str = "0"
) -> Offer:
    whole = (Option(53, b"\x02"), Option(54, server.packed), *options)
    next_server = IPv4Address(0) if siaddr == "0" else IPv4Address(siaddr)
    packet = Packet(2, 7, MAC, whole, yiaddr=IPv4Address(address), siaddr=next_server)
    return Offer(packet, server, "52:54:00:aa:bb:cc")


FILE = Option(67, b"undionly.kpxe")
PXE, HTTP = Option(60, b"PXEClient"), Option(60, b"HTTPClient")


def test_without_an_answer_it_goes_on() -> None:
    verdict = judge(PERSONAS["bios"], [], ipxe=False)
    assert not verdict.good
    assert "Nobody answered" in verdict.sentences[0]


def test_the_next_server_is_siaddr_then_option_66_then_who_answered() -> None:
    for found, server in (
        (offer(FILE, siaddr="172.22.0.3"), "172.22.0.3"),
        (offer(FILE, Option(66, b"boot.example")), "boot.example"),
        (offer(FILE), "172.22.0.1"),
    ):
        verdict = judge(PERSONAS["bios"], [found], ipxe=False)
        assert verdict.good
        assert verdict.file is not None
        assert verdict.file.server == server


def test_two_servers_with_addresses_are_told() -> None:
    verdict = judge(PERSONAS["bios"], [offer(FILE), offer(server=TWO)], ipxe=False)
    assert "2 servers offer addresses (172.22.0.1, 172.22.0.9)" in verdict.sentences[0]
    assert verdict.good


def test_a_boot_file_may_come_from_a_proxy_but_an_address_must_come_from_somebody() -> None:
    proxy = offer(FILE, PXE, server=TWO, address="0.0.0.0")
    assert judge(PERSONAS["bios"], [offer(), proxy], ipxe=False).good
    verdict = judge(PERSONAS["bios"], [proxy], ipxe=False)
    assert not verdict.good
    assert "only a proxy answered" in verdict.sentences[0]


def test_a_proxy_without_a_file_is_asked_on_port_4011() -> None:
    proxy = offer(PXE, server=TWO, address="0.0.0.0")
    verdict = judge(PERSONAS["uefi"], [offer(), proxy], ipxe=False)
    assert verdict.ask == TWO
    told = offer(FILE, siaddr="172.22.0.9").packet
    assert judge(PERSONAS["uefi"], [offer(), proxy], ipxe=False, told=told).good


@pytest.mark.seed("s57")
@pytest.mark.parametrize("name", ["undionly.kpxe", "snponly.efi", "ipxe.efi", "tftp://a/ipxe.efi"])
def test_an_ipxe_that_is_told_to_load_ipxe_is_told_to_go_round_for_ever(name: str) -> None:
    verdict = judge(PERSONAS["bios"], [offer(Option(67, name.encode()))], ipxe=True)
    assert not verdict.good
    assert "for ever" in verdict.sentences[0]


@pytest.mark.parametrize(
    ("arch", "options", "good"),
    [
        ("http", (Option(67, b"http://a/x.efi"), HTTP), True),
        ("http", (Option(67, b"http://a/x.efi"),), False),
        ("http", (Option(67, b"x.efi"), HTTP), False),
        ("uefi", (Option(67, b"http://a/x.efi"),), False),
        ("uefi", (), False),
        ("system", (), True),
    ],
)
def test_firmware_takes_only_what_it_can_load(
    arch: str, options: tuple[Option, ...], good: bool
) -> None:
    assert judge(PERSONAS[arch], [offer(*options)], ipxe=False).good is good


@given(
    st.lists(
        st.builds(Option, st.integers(1, 254).filter(lambda n: n != 52), st.binary(max_size=60))
    ),
    st.sampled_from(sorted(PERSONAS)),
    st.booleans(),
)
def test_any_answer_can_be_shown_and_judged(options: list[Option], arch: str, ipxe: bool) -> None:
    rest = tuple(one for one in options if one.code != 53)
    found = offer(*rest)
    assert all(line.isprintable() for line in describe.message(found.packet, found.mac))
    asked = Packet(1, 7, MAC, found.packet.options)
    assert all(line.isprintable() for line in describe.message(asked, found.mac))
    judge(PERSONAS[arch], [found], ipxe=ipxe and arch != "system")


def test_every_client_says_what_it_is() -> None:
    for name, persona in PERSONAS.items():
        packet = discover(persona, MAC, 1)
        vendor = (packet.option(60) or b"").decode()
        assert vendor.startswith("HTTPClient:Arch:") == name.startswith("http")
        assert (packet.option(93) is None) == (name == "system")
        assert packet.option(77) is None
    assert discover(PERSONAS["http"], MAC, 1, ipxe=True).option(93) == b"\0\7"
    assert discover(PERSONAS["bios"], MAC, 1, ipxe=True).option(77) == b"iPXE"
