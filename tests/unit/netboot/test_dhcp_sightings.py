"""Frames on a card: what is DHCP in them, and which of it is a foreign server's."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.dhcp.frames import unwrap, wrap
from netboot.dhcp.packet import Option, Packet
from netboot.dhcp.reader import BadPacket
from netboot.dhcp.sightings import Spotter

MAC = bytes.fromhex("525400220001")
CARD = "52:54:00:aa:bb:cc"
US, STRANGER = IPv4Address("172.22.0.1"), IPv4Address("172.22.0.9")


def frame(packet: Packet, source: IPv4Address = STRANGER) -> bytes:
    """A datagram as a server sends it."""
    payload = packet.pack()
    udp = struct.pack("!HHHH", 67, 68, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
    return head + source.packed + b"\xff" * 4 + udp


def message(op: int, kind: int, *options: Option, yiaddr: str = "0.0.0.0") -> Packet:
    return Packet(op, 7, MAC, (Option(53, bytes([kind])), *options), yiaddr=IPv4Address(yiaddr))


OFFER = message(2, 2, Option(54, STRANGER.packed), Option(67, b"evil.0"), yiaddr="172.22.0.200")


def test_what_is_wrapped_is_unwrapped() -> None:
    assert unwrap(wrap(b"hello")) == (IPv4Address(0), b"hello")
    whole = wrap(b"hello")
    total = sum(struct.unpack("!10H", whole[:20]))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_an_offer_of_a_stranger_is_a_sighting_with_all_that_is_known() -> None:
    seen = Spotter([US]).see(frame(OFFER), CARD, False)
    assert seen is not None
    assert (seen.server, seen.mac, seen.client) == (STRANGER, CARD, "52:54:00:22:00:01")
    assert seen.sentence() == (
        "another DHCP server, 172.22.0.9 (52:54:00:aa:bb:cc), answered 52:54:00:22:00:01 with "
        "OFFER, address 172.22.0.200, boot file evil.0"
    )


def test_our_own_answers_are_none_also_under_an_address_that_they_themselves_told() -> None:
    spotter = Spotter([US])
    ours = message(2, 2, Option(54, US.packed))
    other = message(2, 5, Option(54, IPv4Address("10.0.0.1").packed))
    assert spotter.see(frame(ours), CARD, False) is None
    assert spotter.see(frame(other), CARD, True) is None
    assert spotter.see(frame(other), CARD, False) is None


def test_a_machine_that_chooses_us_or_renews_is_no_sighting() -> None:
    spotter = Spotter([US])
    for options in ((Option(54, US.packed),), (), (Option(54, b"\x01"),)):
        assert spotter.see(frame(message(1, 3, *options)), CARD, False) is None


def test_text_of_a_stranger_is_made_harmless() -> None:
    evil = message(2, 2, Option(67, b"a\n\x1b[31m" + b"x" * 240))
    seen = Spotter([US]).see(frame(evil), CARD, False)
    assert seen is not None
    assert seen.server == STRANGER
    assert seen.said.isprintable()
    assert len(seen.said) < 250


@pytest.mark.parametrize("length", [0, 1, 19, 20, 27, 28, 100])
def test_a_frame_cut_short_is_nothing(length: int) -> None:
    data = frame(OFFER)[:length]
    with pytest.raises(BadPacket, match="byte "):
        unwrap(data)
    assert Spotter([US]).see(data, CARD, False) is None


@given(st.binary(max_size=400))
def test_any_frame_is_seen_or_not_and_never_an_error(data: bytes) -> None:
    spotter = Spotter([US])
    whole = frame(OFFER)
    for one in (data, whole[:28] + data, whole[: 28 + 240] + data, data + whole[len(data) :]):
        for outgoing in (False, True):
            spotter.see(one, CARD, outgoing)
