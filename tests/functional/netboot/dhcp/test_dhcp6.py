"""IPv6: router advertisements that say the right thing, and the boot file URL over DHCPv6."""

from __future__ import annotations

import itertools
import select
import socket
import struct
import time
from typing import Any

import pytest

from drophammer.netns import Namespace
from netboot.dhcp import packet6
from netboot.dhcp.packet6 import Option6, Packet6
from tests.patience import PATIENCE

MAC, OTHER = "52:54:00:22:00:01", "52:54:00:22:00:99"
HOSTS = ((MAC, "ipxe", None),)
SUBNET = """
[dhcp]
subnets = rack1
[subnet:rack1]
cidr = 172.22.0.0/24
range_start = 172.22.0.50
range_end = 172.22.0.99
ipv6_prefix = fd00:22::/64
"""
STATEFUL = """ipv6_mode = stateful
ipv6_range_start = fd00:22::50
ipv6_range_end = fd00:22::99
ipv6_next_server = fd00:22::1
"""
MANAGED, OTHER_CONFIG = 0x80, 0x40
TRANSACTIONS = itertools.count(0x123456)


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        ("", 0),
        ("ipv6_mode = stateless\n", OTHER_CONFIG),
        (STATEFUL, MANAGED | OTHER_CONFIG),
    ],
    ids=["advertise", "stateless", "stateful"],
)
def test_advertisements_say_how_addresses_are_had_and_that_this_is_no_way_out(
    net: Any, serve: Any, more: str, flags: int
) -> None:
    """RFC 4861: type 134; M and O flags; a router lifetime of 0."""
    serve(SUBNET + more, *HOSTS)
    inside = Namespace(net.client)
    raw = inside.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))
    with raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"card0")
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        card = inside.call(lambda: socket.if_nametoindex("card0"))
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            raw.sendto(bytes([133, *bytes(7)]), ("ff02::2", 0, 0, card))
            while select.select([raw], [], [], 0.3)[0]:
                data = raw.recv(2048)
                if data[0] == 134:
                    assert struct.unpack_from("!H", data, 6)[0] == 0
                    assert data[5] & 0xC0 == flags
                    return
    pytest.fail("no router advertisement came")


def solicit(net: Any, mac: str, arch: int, *, ipxe: bool = False, seconds: float = PATIENCE) -> Any:
    """SOLICIT as firmware sends it; the ADVERTISE, or None."""
    inside = Namespace(net.client)
    duid = b"\0\3\0\1" + bytes.fromhex(mac.replace(":", ""))
    options = [
        Option6(packet6.CLIENT_ID, duid),
        Option6(packet6.IA_NA, b"\0\0\0\1" + bytes(8)),
        Option6(packet6.ORO, struct.pack("!3H", 59, 60, 16)),
        Option6(packet6.ELAPSED, b"\0\0"),
        Option6(packet6.ARCHITECTURE, struct.pack("!H", arch)),
    ]
    if ipxe:
        options.append(Option6(packet6.USER_CLASS, b"\0\4iPXE"))
    message = Packet6(packet6.SOLICIT, next(TRANSACTIONS), tuple(options))
    with inside.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"card0")
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        asker.bind(("::", 546))
        card = inside.call(lambda: socket.if_nametoindex("card0"))
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            asker.sendto(message.pack(), ("ff02::1:2", 547, 0, card))
            while select.select([asker], [], [], 0.7)[0]:
                answer = packet6.parse(asker.recv(4096))
                # What was asked twice is answered twice, maybe while the next one asks.
                if answer.xid == message.xid:
                    return answer
    return None


@pytest.fixture
def named(net: Any) -> Any:
    """The client's card has the MAC address of our machine: DHCPv6 knows it by that."""
    for words in ("down", f"address {MAC}", "up"):
        net.ip(f"link set card0 {words}", net.client)
    return net


def test_firmware_is_told_a_boot_file_url_and_ipxe_the_script(named: Any, serve: Any) -> None:
    serve(SUBNET + STATEFUL, *HOSTS)
    for arch, ipxe, url in (
        (7, False, "tftp://[fd00:22::1]/snponly.efi"),
        (11, False, "tftp://[fd00:22::1]/snponly-arm64.efi"),
        (7, True, "tftp://[fd00:22::1]/boot.ipxe"),
        (16, False, "http://[fd00:22::1]:8080/snponly.efi"),
    ):
        answer = solicit(named, MAC, arch, ipxe=ipxe)
        assert answer is not None, arch
        assert answer.type == packet6.ADVERTISE
        assert answer.boot_url == url
        (address,) = packet6.addresses(answer)
        assert str(address).startswith("fd00:22::")
        vendor = answer.option(packet6.VENDOR_CLASS)
        assert vendor == (b"\0\2ue\0\x0aHTTPClient" if arch == 16 else None)


def test_an_unknown_machine_gets_no_answer_over_ipv6_either(named: Any, serve: Any) -> None:
    serve(SUBNET + STATEFUL, (OTHER, None, None))
    assert solicit(named, MAC, 7, seconds=2.8) is None
