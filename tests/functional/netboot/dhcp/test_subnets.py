"""Several subnets from one server: behind a relay, with kept addresses, one of them open."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from netboot.dhcp import ipxe, options
from netboot.dhcp.packet import Option, Packet, text

MAC, PXE, OTHER = "52:54:00:22:00:01", "52:54:00:22:00:02", "52:54:00:22:00:99"
US = IPv4Address("172.22.0.1")
HOSTS = ((MAC, "ipxe", None), (PXE, "pxe", None))
RACKS = """
[dhcp]
subnets = rack1, rack2
probe_interval = 0
[subnet:rack1]
cidr = 172.22.0.0/24
range_start = 172.22.0.50
range_end = 172.22.0.99
path_prefix = tftp://172.22.0.1/
config_file = pxelinux.cfg/mine
ntp = 172.22.0.1
[subnet:rack2]
cidr = 10.2.0.0/24
relay = 10.2.0.1
range_start = 10.2.0.50
range_end = 10.2.0.99
router = 10.2.0.1
dns = 10.2.0.1, 10.2.0.3
lease_seconds = 600
next_server = 172.22.0.8
"""


def file_of(packet: Packet) -> str:
    return text(packet.option(67) or b"")


def test_each_subnet_has_its_own_addresses_and_options_also_behind_a_relay(
    net: Any, serve: Any, machine: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.relay, "--dhcp-relay=10.2.0.1,172.22.0.1", "--interface=down0", "--interface=card0")
    serve(RACKS, *HOSTS)
    near = machine(net.client, MAC).offer()
    assert near.yiaddr in {IPv4Address(f"172.22.0.{n}") for n in range(50, 100)}
    assert near.option(options.ROUTER) is None
    assert near.siaddr == US
    far = machine(net.far, MAC).offer()
    assert far.yiaddr in {IPv4Address(f"10.2.0.{n}") for n in range(50, 100)}
    assert far.giaddr == IPv4Address("10.2.0.1")
    assert options.addresses(far.option(3) or b"", "3") == (IPv4Address("10.2.0.1"),)
    assert len(options.addresses(far.option(6) or b"", "6")) == 2
    assert far.option(51) == (600).to_bytes(4, "big")
    assert (far.siaddr, file_of(far)) == (IPv4Address("172.22.0.8"), "undionly.kpxe")
    script = machine(net.far, MAC).offer(ipxe=True)
    assert file_of(script) == "tftp://172.22.0.8/boot.ipxe"


TABLE = [
    ("bios", MAC, "undionly.kpxe"),
    ("uefi", MAC, "snponly.efi"),
    ("arm64", MAC, "snponly-arm64.efi"),
    ("ppc64el", MAC, "bootppc64.bin"),
    ("http", MAC, "http://172.22.0.1:8080/snponly.efi"),
    ("http-arm64", MAC, "http://172.22.0.1:8080/snponly-arm64.efi"),
    ("bios", PXE, "pxelinux.0"),
    ("uefi", PXE, "bootx64.efi"),
    ("arm64", PXE, "grubaa64.efi"),
    ("ppc64el", PXE, "bootppc64.bin"),
    ("http", PXE, "http://172.22.0.1:8080/bootx64.efi"),
    ("http-arm64", PXE, "http://172.22.0.1:8080/grubaa64.efi"),
    ("system", MAC, ""),
]


@pytest.mark.seed("s19", "s64")
def test_every_architecture_is_told_its_loader(net: Any, serve: Any, machine: Any) -> None:
    """Options 66 and 67 beside siaddr; BIOS gets pxelinux.0, UEFI gets shim, by option 93."""
    serve(RACKS, *HOSTS)
    for arch, mac, file in TABLE:
        packet = machine(net.client, mac).offer(arch)
        assert file_of(packet) == file, arch
        if file:
            assert (packet.siaddr, text(packet.option(66) or b"")) == (US, str(US)), arch
        wanted = b"HTTPClient" if arch.startswith("http") else None
        if wanted:
            assert packet.option(60) == wanted


@pytest.mark.seed("s57")
def test_an_ipxe_is_told_the_script_and_never_a_loader(net: Any, serve: Any, machine: Any) -> None:
    serve(RACKS, *HOSTS)
    for arch in ("bios", "uefi", "arm64", "http"):
        packet = machine(net.client, MAC).offer(arch, ipxe=True)
        assert file_of(packet) == "tftp://172.22.0.1/boot.ipxe", arch
        assert ipxe.parse(packet.option(175) or b"").skips_proxy
    # One whose option 175 was lost on the way is still known by its user class.
    asker = machine(net.client, MAC)
    plain = asker.discover(ipxe=True)
    rest = tuple(one for one in plain.options if one.code != 175)
    bare = Packet(1, plain.xid, plain.mac, rest, flags=plain.flags)
    assert file_of(asker.answer(bare)) == "tftp://172.22.0.1/boot.ipxe"


@pytest.mark.seed("s19")
def test_config_file_and_path_prefix_are_sent_to_pxelinux_alone(
    net: Any, serve: Any, machine: Any
) -> None:
    serve(RACKS, *HOSTS)
    packet = machine(net.client, PXE).offer()
    assert packet.option(209) == b"pxelinux.cfg/mine"
    assert packet.option(210) == b"tftp://172.22.0.1/"
    other = machine(net.client, MAC).offer()
    assert (other.option(209), other.option(210)) == (None, None)


# What a reply must have whatever was asked (RFC 2131, table 3), and dnsmasq's renewal times.
MANDATORY = {51, 53, 54, 58, 59}


@pytest.mark.seed("s58")
@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ((), {1, 28, 42, 66, 67}),
        ((1,), {1}),
        ((1, 3, 6, 42), {1, 42}),
        ((66, 67), {66, 67}),
        ((1, 28, 175, 203), {1, 28}),
    ],
)
def test_a_reply_has_what_was_asked_for_and_what_must_be(
    net: Any, serve: Any, machine: Any, asked: tuple[int, ...], got: set[int]
) -> None:
    serve(RACKS, *HOSTS)
    asker = machine(net.client, MAC)
    plain = asker.discover()
    kept = [one for one in plain.options if one.code in (53, 57, 93)]
    if asked:
        kept.append(Option(55, bytes(asked)))
    packet = asker.answer(Packet(1, plain.xid, plain.mac, tuple(kept), flags=plain.flags))
    assert {one.code for one in packet.options} == MANDATORY | got


@pytest.mark.seed("s58")
def test_messages_of_wrong_types_are_ignored(net: Any, serve: Any, machine: Any) -> None:
    serve(RACKS, *HOSTS)
    asker = machine(net.client, MAC)
    for kind in (b"", b"\0", b"\x02", b"\x05", b"\x63"):
        plain = asker.discover()
        rest = tuple(one for one in plain.options if one.code != 53)
        odd = Packet(1, plain.xid, plain.mac, (Option(53, kind), *rest), flags=plain.flags)
        assert asker.client.ask(odd, 0.2) == [], kind
    reply = asker.discover()
    odd = Packet(2, reply.xid, reply.mac, reply.options, flags=reply.flags)
    assert asker.client.ask(odd, 0.2) == []
    # An architecture of a wrong length is none: there is an address, and no loader.
    plain = asker.discover()
    rest = tuple(one for one in plain.options if one.code not in (93, 60))
    short = (*rest, Option(93, b"\0"))
    packet = asker.answer(Packet(1, plain.xid, plain.mac, short, flags=plain.flags))
    assert file_of(packet) == ""


def test_an_address_is_kept_for_the_card_whose_port_asks_for_it(
    net: Any, serve: Any, machine: Any
) -> None:
    running = serve(
        RACKS,
        (MAC, "ipxe", "172.22.0.77"),
        (PXE, "pxe", "172.22.0.200"),
        (OTHER, None, "172.22.0.77"),
        ("52:54:00:22:00:98", None, "10.9.9.9"),
        ("52:54:00:22:00:97", None, "172.22.0.5\ndhcp-script=/bin/sh"),
        ("52:54:00:22:00:96", None, ["172.22.0.5"]),
        ("52:54:00:22:00:95", None, "172.22.0.1"),
    )
    assert machine(net.client, MAC).offer().yiaddr == IPv4Address("172.22.0.77")
    assert machine(net.client, PXE).offer().yiaddr == IPv4Address("172.22.0.200")
    for mac in (OTHER, *(f"52:54:00:22:00:9{n}" for n in (8, 7, 6, 5))):
        given = machine(net.client, mac).offer().yiaddr
        assert given in {IPv4Address(f"172.22.0.{n}") for n in range(50, 100)}
        assert f"No address is kept for {mac}" in running.server.state
    running.server.set_hosts([(MAC, "ipxe", "172.22.0.78")])
    assert machine(net.client, MAC).offer().yiaddr == IPv4Address("172.22.0.78")
    assert "No address is kept" not in running.server.state


def test_unknown_machines_are_answered_only_where_they_may_enlist(
    net: Any, serve: Any, machine: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.relay, "--dhcp-relay=10.2.0.1,172.22.0.1", "--interface=down0", "--interface=card0")
    serve(RACKS + "enlist = true\n", *HOSTS)
    packet = machine(net.far, OTHER).offer()
    assert file_of(packet) == "undionly.kpxe"
    near = machine(net.client, OTHER)
    assert near.offers() == []
    # Nor is it refused an address that it has from elsewhere.
    plain = near.discover("system")
    rest = tuple(one for one in plain.options if one.code != 53)
    keep = (Option(53, b"\x03"), Option(50, IPv4Address("172.22.0.60").packed), *rest)
    assert near.client.ask(Packet(1, 7, near.mac, keep, flags=plain.flags), 0.5) == []


def test_subnets_that_are_off_have_no_server(net: Any, serve: Any, machine: Any) -> None:
    running = serve("[dhcp]\nsubnets = a\n[subnet:a]\ncidr = 172.22.0.0/24\nmode = off\n", *HOSTS)
    assert running.server.pid is None
    assert [service.expected().state for service in running.server.services()] == ["off", "off"]
    assert machine(net.client, MAC).offers() == []


def test_a_machine_that_stands_in_another_subnet_than_its_kept_address_boots_all_the_same(
    net: Any, serve: Any, machine: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.relay, "--dhcp-relay=10.2.0.1,172.22.0.1", "--interface=down0", "--interface=card0")
    serve(RACKS, (PXE, "pxe", "10.2.0.77"), (MAC, None, "172.22.0.77"))
    near, far = machine(net.client, PXE).offer(), machine(net.far, PXE).offer()
    assert near.yiaddr in {IPv4Address(f"172.22.0.{n}") for n in range(50, 100)}
    assert far.yiaddr == IPv4Address("10.2.0.77")
    assert [file_of(near), file_of(far)] == ["pxelinux.0", "pxelinux.0"]
    assert machine(net.client, MAC).offer().yiaddr == IPv4Address("172.22.0.77")
