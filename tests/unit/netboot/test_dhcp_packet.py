"""DHCPv4 messages: a captured one, byte for byte, and what is broken about others."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.errors import Invalid
from netboot.dhcp import ipxe, options
from netboot.dhcp.packet import COOKIE, Option, Packet, parse
from netboot.dhcp.reader import BadPacket

MAC = bytes.fromhex("fa165eec78e6")
IPXE = bytes.fromhex(
    "b105011af41000eb03010000170101220101130101110101270101190101100102210101150101180101120101"
)
GUID = bytes((0, 201, 216, 180, 247, 232, 204, 140, 65, 139, 82, 138, 111, 18, 78, 134, 85))
ASKED = (1, 3, 6, 7, 12, 15, 17, 43, 60, 66, 67, 119, *range(128, 136), 175, 203)


def tlv(code: int, data: bytes) -> bytes:
    return bytes([code, len(data)]) + data


CAPTURE = b"".join(
    [
        bytes([1, 1, 6, 0]),
        bytes.fromhex("96cf6856"),
        bytes([0, 4, 0, 0]),
        bytes(16),
        MAC + bytes(10),
        bytes(64 + 128),
        bytes([99, 130, 83, 99]),
        tlv(53, b"\x01"),
        tlv(57, bytes([5, 192])),
        tlv(93, b"\0\0"),
        tlv(94, bytes([1, 2, 1])),
        tlv(60, b"PXEClient:Arch:00000:UNDI:002001"),
        tlv(77, b"iPXE"),
        tlv(55, bytes(ASKED)),
        tlv(175, IPXE),
        tlv(61, b"\x01" + MAC),
        tlv(97, GUID),
        b"\xff",
    ]
)


@pytest.mark.seed("s56")
def test_the_captured_discover_is_read_into_what_it_says() -> None:
    assert len(CAPTURE) == 396
    packet = parse(CAPTURE)
    assert (packet.op, packet.xid, packet.secs, packet.flags) == (1, 0x96CF6856, 4, 0)
    assert packet.client_mac == "fa:16:5e:ec:78:e6"
    assert {packet.ciaddr, packet.yiaddr, packet.siaddr, packet.giaddr} == {IPv4Address(0)}
    assert [one.code for one in packet.options] == [53, 57, 93, 94, 60, 77, 55, 175, 61, 97]
    assert options.message_type(packet) == options.DISCOVER
    assert options.numbers(packet.option(57) or b"", 2, "57") == (1472,)
    assert options.architectures(packet.option(93) or b"") == (0,)
    # 1.2.1: type 1 is UNDI, and its version 2.1.
    assert packet.option(94) == bytes([1, 2, 1])
    assert options.interface(packet.option(94) or b"") == "UNDI 2.1"
    assert packet.option(60) == b"PXEClient:Arch:00000:UNDI:002001"
    assert packet.option(77) == b"iPXE"
    assert options.user_classes(packet.option(77) or b"") == ("iPXE",)
    assert tuple(packet.option(55) or b"") == ASKED
    assert len(ASKED) == 22
    assert options.client_id(packet.option(61) or b"") == "fa:16:5e:ec:78:e6"
    assert options.machine_id(packet.option(97) or b"") == uuid.UUID(
        "f7b4d8c9-cce8-418c-8b52-8a6f124e8655"
    )


@pytest.mark.seed("s56")
def test_the_captured_ipxe_says_what_it_can_do() -> None:
    found = ipxe.parse(parse(CAPTURE).option(175) or b"")
    assert found.bus_id == (0x1AF4, 0x1000)
    assert found.version == "1.0.0"
    assert list(found.values) == [
        0xB1, 0xEB, 0x17, 0x22, 0x13, 0x11, 0x27, 0x19, 0x10, 0x21, 0x15, 0x18, 0x12,
    ]  # fmt: skip
    assert {"HTTP", "iSCSI", "TFTP", "bzImage"} <= set(found.features)
    assert "HTTPS" not in found.features
    assert not found.skips_proxy


@pytest.mark.seed("s56")
def test_the_captured_discover_is_written_again_byte_for_byte() -> None:
    assert parse(CAPTURE).pack() == CAPTURE


def test_a_message_cut_off_at_any_byte_is_refused_with_the_position() -> None:
    for length in range(len(CAPTURE)):
        with pytest.raises(BadPacket, match=r"byte \d+: "):
            parse(CAPTURE[:length])


def message(*parts: bytes, sname: bytes = b"", file: bytes = b"") -> bytes:
    head = CAPTURE[:44] + sname.ljust(64, b"\0") + file.ljust(128, b"\0")
    return head + COOKIE + b"".join(parts) + b"\xff"


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"\x03" + CAPTURE[1:], 0),
        (CAPTURE[:2] + b"\x11" + CAPTURE[3:], 2),
        (CAPTURE[:236] + b"\0\0\0\0" + CAPTURE[240:], 236),
        (message(tlv(53, b"\x01"), b"\x37"), 245),
        (message(tlv(52, b"\x04")), 240),
        (message(tlv(52, b"")), 240),
        (message(tlv(52, b"\x01"), file=b"\x43\xf0"), 110),
        (message(tlv(52, b"\x02"), sname=bytes(64)), 108),
        (message(tlv(52, b"\x01"), file=b"\x34\x01\x01\xff"), 240),
        (CAPTURE + bytes(70_000), 65507),
    ],
)
def test_a_broken_message_is_refused_at_its_first_bad_byte(data: bytes, position: int) -> None:
    with pytest.raises(BadPacket, match=f"byte {position}: "):
        parse(data)


def test_options_stand_in_overloaded_fields_too() -> None:
    packet = parse(
        message(
            tlv(53, b"\x02"),
            tlv(52, b"\x03"),
            sname=tlv(66, b"boot") + b"\xff",
            file=tlv(67, b"pxelinux.0") + b"\xff",
        )
    )
    assert (packet.option(66), packet.option(67)) == (b"boot", b"pxelinux.0")
    assert (packet.server_name, packet.boot_file) == ("", "")
    assert packet.where(67) == 108


def test_a_long_option_is_put_together_and_written_in_parts() -> None:
    long = bytes(range(256)) * 3
    packet = Packet(1, 7, MAC, (Option(43, long), Option(53, b"\x01")))
    read = parse(packet.pack())
    assert [len(one.data) for one in read.options] == [255, 255, 255, 3, 1]
    assert read.option(43) == long


def test_what_stands_behind_the_end_is_kept_and_not_read() -> None:
    packet = parse(CAPTURE + b"\x35\xff")
    assert packet.tail == b"\x35\xff"
    assert packet.pack() == CAPTURE + b"\x35\xff"


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (options.architectures, b""),
        (options.architectures, b"\0"),
        (options.interface, b"\x01\x02"),
        (options.interface, b"\x01\x02\x01\0"),
        (options.machine_id, b"\x01" + bytes(16)),
        (options.machine_id, bytes(16)),
        (options.machine_id, bytes(18)),
        (options.client_id, b"\x01"),
        (ipxe.parse, b"\xb1\x05\x01"),
        (ipxe.parse, b"\x13\x01\x01\x13\x01\x01"),
    ],
)
def test_an_absurd_option_is_named_with_the_position(read: object, data: bytes) -> None:
    assert callable(read)
    with pytest.raises(BadPacket, match=r"option \d+, byte \d+: "):
        read(data)


@pytest.mark.parametrize(
    "value", [None, b"", b"\0", b"\x63", b"\x01\x01"], ids=["none", "empty", "0", "99", "two"]
)
@pytest.mark.seed("s58")
def test_a_message_type_that_is_none_is_refused(value: bytes | None) -> None:
    packet = parse(message(*([] if value is None else [tlv(53, value)])))
    with pytest.raises(BadPacket, match="message type"):
        options.message_type(packet)


def test_user_classes_are_read_in_both_forms() -> None:
    assert options.user_classes(b"\x04iPXE\x03abc") == ("iPXE", "abc")
    assert options.user_classes(b"iPXE") == ("iPXE",)
    assert options.user_classes(b"a\n\xe9") == ("a??",)
    assert options.user_classes(b"") == ()


@pytest.mark.parametrize(
    "packet",
    [
        Packet(1, 1 << 32, MAC, ()),
        Packet(300, 1, MAC, ()),
        Packet(1, 1, MAC, (), flags=-1),
        Packet(1, 1, MAC + MAC, ()),
        Packet(1, 1, MAC, (Option(256, b""),)),
        Packet(1, 1, MAC, (Option(-1, b""),)),
    ],
)
def test_what_fits_no_field_is_not_written(packet: Packet) -> None:
    with pytest.raises(Invalid):
        packet.pack()


@given(st.binary(max_size=600))
def test_any_bytes_are_a_message_or_a_bad_one(data: bytes) -> None:
    read_all(data)
    read_all(CAPTURE[:240] + data)
    read_all(message(data, tlv(52, b"\x03"), file=data[:128], sname=data[:64]))


@given(st.binary(max_size=40), st.integers(0, 395), st.integers(0, 255))
def test_a_changed_capture_is_a_message_or_a_bad_one(more: bytes, at: int, byte: int) -> None:
    read_all(CAPTURE[:at] + bytes([byte]) + more + CAPTURE[at + 1 :])


def read_all(data: bytes) -> None:
    """Every reading of every option gives a value or BadPacket."""
    try:
        packet = parse(data)
    except BadPacket:
        return
    if not packet.extra:
        assert packet.pack() == data
    assert isinstance(packet.boot_file + packet.server_name, str)
    for read in (
        options.architectures,
        options.interface,
        options.machine_id,
        options.client_id,
        options.user_classes,
        ipxe.parse,
    ):
        for one in (*packet.options, *packet.extra):
            try:
                read(one.data)
            except BadPacket:
                pass
    options.server_id(packet)


OPTION = st.builds(Option, st.integers(1, 254), st.binary(max_size=700))


@given(st.lists(OPTION, max_size=6), st.integers(0, 2**32 - 1), st.binary(min_size=6, max_size=6))
def test_what_is_written_is_read_again(found: list[Option], xid: int, mac: bytes) -> None:
    if any(one.code == 52 for one in found):
        return
    packet = Packet(2, xid, mac, tuple(found))
    read = parse(packet.pack())
    assert (read.xid, read.mac) == (xid, mac)
    for code in {one.code for one in found}:
        assert read.option(code) == b"".join(one.data for one in found if one.code == code)
