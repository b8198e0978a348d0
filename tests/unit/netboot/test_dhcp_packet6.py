"""DHCPv6 messages: what network boot has in them, relayed ones, and broken ones."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.errors import Invalid
from netboot.dhcp import packet6
from netboot.dhcp.packet6 import Option6, Packet6, parse
from netboot.dhcp.reader import BadPacket

DUID = bytes.fromhex("00030001525400220001")
ADDRESS = IPv6Address("fd00:22::50")
LEASE = bytes(12) + b"\0\5\0\x18" + ADDRESS.packed + bytes(8)
URL = b"tftp://[fd00:22::1]/snponly.efi"
REPLY = Packet6(
    packet6.REPLY,
    0xABCDEF,
    (Option6(1, DUID), Option6(3, LEASE), Option6(59, URL), Option6(13, b"\0\0")),
)


def relayed(inner: bytes, link: str = "fd00:33::1") -> bytes:
    head = bytes([12, 0]) + IPv6Address(link).packed + IPv6Address("fe80::1").packed
    return head + b"\0\x12\0\1x" + b"\0\x09" + len(inner).to_bytes(2, "big") + inner


def test_a_reply_has_an_address_and_a_boot_url() -> None:
    packet = parse(REPLY.pack())
    assert (packet.type, packet.xid) == (packet6.REPLY, 0xABCDEF)
    assert packet.boot_url == URL.decode()
    assert packet6.addresses(packet) == (ADDRESS,)
    assert packet6.mac_of(packet.option(1) or b"") == "52:54:00:22:00:01"
    assert packet6.status(packet) is None
    assert packet.pack() == REPLY.pack()


def test_a_relayed_message_is_followed_to_the_clients_own() -> None:
    packet = parse(relayed(relayed(REPLY.pack()), "fd00:44::1"))
    assert packet.xid == 0xABCDEF
    assert packet.relays == (IPv6Address("fd00:44::1"), IPv6Address("fd00:33::1"))


def test_a_failure_is_told_in_the_servers_words() -> None:
    packet = Packet6(packet6.REPLY, 1, (Option6(13, b"\0\2no addresses"),))
    assert packet6.status(packet) == "2 no addresses"


@pytest.mark.parametrize(
    ("duid", "mac"),
    [
        (bytes.fromhex("0001000100000000525400220001"), "52:54:00:22:00:01"),
        (bytes.fromhex("0004") + bytes(16), None),
        (DUID[:-1], None),
        (b"", None),
    ],
)
def test_the_mac_address_is_found_in_identifiers_that_have_one(
    duid: bytes, mac: str | None
) -> None:
    assert packet6.mac_of(duid) == mac


@pytest.mark.parametrize("message", [REPLY.pack(), relayed(REPLY.pack())], ids=["own", "relayed"])
def test_a_message_cut_off_at_any_byte_is_refused_or_shorter(message: bytes) -> None:
    for length in range(len(message)):
        try:
            packet = parse(message[:length])
        except BadPacket:
            continue
        assert packet.pack() == message[:length]
        assert len(packet.options) < len(REPLY.options)


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"", 0),
        (b"\0abc", 0),
        (b"\x0e", 0),
        (b"\x01ab", 1),
        (b"\x01abc\0\1\0\5abcd", 8),
        (b"\x0c\0" + bytes(32), 0),
        (relayed(b"\x63abc"), 43),
        (bytes(70_000), 65507),
    ],
)
def test_a_broken_message_is_refused_at_its_first_bad_byte(data: bytes, position: int) -> None:
    with pytest.raises(BadPacket, match=f"byte {position}: "):
        parse(data)


def test_relays_in_a_loop_are_refused() -> None:
    data = REPLY.pack()
    for _ in range(40):
        data = relayed(data)
    with pytest.raises(BadPacket, match="relays in a row"):
        parse(data)


def test_an_option_that_does_not_fit_is_not_written() -> None:
    with pytest.raises(Invalid):
        Packet6(1, 1, (Option6(70_000, b""),)).pack()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_bad_one(data: bytes) -> None:
    for whole in (data, b"\x07abc" + data, relayed(data), relayed(b"\x07abc\0\3" + data)):
        try:
            packet = parse(whole)
            assert isinstance(packet.boot_url, str | None)
            packet6.addresses(packet)
            packet6.status(packet)
        except BadPacket:
            pass
    packet6.mac_of(data)
