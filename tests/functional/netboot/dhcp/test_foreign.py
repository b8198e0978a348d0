"""A DHCP server that is not ours is noticed, and named with address and card."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from drophammer.netns import Namespace
from netboot.dhcp.frames import Card
from netboot.dhcp.packet import Option, Packet
from netboot.dhcp.watch import TOLD

MAC = "52:54:00:22:00:01"
HOSTS = ((MAC, "ipxe", None),)
STRANGER = IPv4Address("172.22.0.9")
OURS = """
[dhcp]
subnets = rack1
probe_interval = {probe}
[subnet:rack1]
cidr = 172.22.0.0/24
range_start = 172.22.0.50
range_end = 172.22.0.99
"""
FOREIGN = ("--interface=card0", "--dhcp-range=172.22.0.200,172.22.0.250,255.255.255.0,1h")


def card_of(net: Any, namespace: str) -> str:
    card = Card("card0", Namespace(namespace))
    card.close()
    return card.mac.hex(":")


def test_our_own_question_finds_it_before_any_machine_does(
    net: Any, serve: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.stranger, *FOREIGN)
    running = serve(OURS.format(probe=300), *HOSTS)
    (seen,) = running.wait(bool)
    assert (seen.server, seen.mac) == (STRANGER, card_of(net, net.stranger))
    assert f"another DHCP server, 172.22.0.9 ({seen.mac}), answered" in running.server.state
    assert running.server.dhcp4.actual().state == "running"
    assert "172.22.0.9" in running.server.dhcp4.actual().reason


def test_an_answer_to_our_machine_is_told_with_what_it_offered(
    net: Any, serve: Any, machine: Any, dnsmasq: Callable[..., None]
) -> None:
    dnsmasq(net.stranger, *FOREIGN, "--dhcp-boot=evil.0")
    running = serve(OURS.format(probe=0), *HOSTS)
    asker = machine(net.client, MAC)
    asker.client.ask(asker.discover(), 3, enough=2)
    seen = running.wait(lambda found: any(one.client == MAC for one in found))[-1]
    assert seen.server == STRANGER
    assert "answered 52:54:00:22:00:01 with OFFER, address 172.22.0.2" in seen.said
    assert "boot file evil.0" in seen.said
    # Again at once: it is no news.
    asker.client.ask(asker.discover(), 3, enough=2)
    assert len(running.sightings) == 1


def test_a_machine_that_chooses_another_server_gives_it_away(
    net: Any, serve: Any, machine: Any
) -> None:
    running = serve(OURS.format(probe=0), *HOSTS)
    asker = machine(net.client, MAC)
    plain = asker.discover("system")
    rest = tuple(one for one in plain.options if one.code != 53)
    chosen = (Option(53, b"\x03"), Option(54, STRANGER.packed), Option(50, bytes(4)), *rest)
    asker.client.ask(Packet(1, plain.xid, plain.mac, chosen), 0.1)
    (seen,) = running.wait(bool)
    assert (seen.server, seen.mac, seen.said) == (STRANGER, None, f"was chosen by {MAC}")


def test_our_own_answers_and_noise_are_not_taken_for_another_server(
    net: Any, serve: Any, machine: Any
) -> None:
    running = serve(OURS.format(probe=300), *HOSTS)
    asker = machine(net.client, MAC)
    offer = asker.offer()
    rest = tuple(one for one in asker.discover().options if one.code != 53)
    chosen = (Option(53, b"\x03"), Option(54, offer.option(54) or b""), *rest)
    request = Packet(1, 9, asker.mac, (*chosen, Option(50, offer.yiaddr.packed)), flags=0x8000)
    assert asker.answer(request).option(53) == b"\x05"
    for length in (0, 1, 60, 240, 300):
        with Namespace(net.client).socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"card0")
            sender.sendto(os.urandom(length), ("255.255.255.255", 67))
            sender.sendto(os.urandom(length), ("255.255.255.255", 68))
    assert asker.offer().yiaddr == offer.yiaddr
    assert running.sightings == []


def test_a_thousand_forged_servers_are_told_of_a_hundred_times(
    net: Any, serve: Any, caplog: Any
) -> None:
    running = serve(OURS.format(probe=0), *HOSTS)
    with Namespace(net.client).socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"card0")
        for number in range(1000):
            mac, server = os.urandom(6), IPv4Address(0x0A000000 + number).packed
            forged = Packet(2, number, mac, (Option(53, b"\x02"), Option(54, server)))
            sender.sendto(forged.pack(), ("255.255.255.255", 68))
            if number % 50 == 0:
                # What the card's queue cannot hold is not seen at all.
                running.wait(lambda found, sent=number: len(found) >= min(sent, 100) // 2)
    found = running.wait(lambda found: len(found) >= TOLD)
    assert len({one.server for one in found}) == TOLD
    assert len([line for line in caplog.messages if "another DHCP server" in line]) == TOLD
    assert len(running.server.state) < 1000
