"""Reading and writing TFTP packets, with whole, broken and random bytes."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.services import tftp_packet as packet

WHOLE = b"\0\1grub/grub.cfg\0octet\0blksize\x001468\0tsize\x000\0windowsize\x0016\0"
printable = st.text(string.ascii_letters + string.digits + "/._- ", min_size=1, max_size=40)


def test_a_request_with_options_is_read() -> None:
    asked = packet.parse_request(WHOLE)
    assert asked.opcode == packet.RRQ
    assert asked.filename == "grub/grub.cfg"
    assert asked.mode == "octet"
    assert dict(asked.options) == {"blksize": "1468", "tsize": "0", "windowsize": "16"}


def test_mode_and_option_names_are_folded_to_lower_case() -> None:
    asked = packet.parse_request(b"\0\1A\0OCTET\0BlkSize\x001000\0")
    assert (asked.filename, asked.mode, dict(asked.options)) == ("A", "octet", {"blksize": "1000"})


def test_the_first_of_two_equal_options_counts() -> None:
    asked = packet.parse_request(b"\0\1a\0octet\0blksize\x001000\0blksize\x002000\0")
    assert asked.options["blksize"] == "1000"


def test_a_write_request_is_read_as_one() -> None:
    assert packet.parse_request(b"\0\2a\0octet\0").opcode == packet.WRQ


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_truncated_request_is_refused_or_keeps_only_whole_options(end: int) -> None:
    head = len(b"\0\1grub/grub.cfg\0octet\0")
    if end < head:
        with pytest.raises(packet.BadPacket):
            packet.parse_request(WHOLE[:end])
        return
    whole = {"blksize": "1468", "tsize": "0", "windowsize": "16"}
    options = packet.parse_request(WHOLE[:end]).options
    assert options.items() <= whole.items()
    assert len(options) < 3


@given(st.binary(max_size=600))
def test_random_bytes_raise_nothing_but_the_error_of_the_parser(data: bytes) -> None:
    with contextlib.suppress(packet.BadPacket):
        packet.parse_request(data)


@given(st.binary(max_size=600))
def test_random_bytes_behind_an_opcode_raise_nothing_else_either(data: bytes) -> None:
    with contextlib.suppress(packet.BadPacket):
        asked = packet.parse_request(b"\0\1" + data)
        assert asked.filename
        assert "\0" not in asked.filename


@given(
    printable, st.dictionaries(st.sampled_from(["blksize", "tsize", "x"]), printable), st.binary()
)
def test_what_was_written_is_read(name: str, options: dict[str, str], rest: bytes) -> None:
    parts = [name, "octet", *(text for pair in options.items() for text in pair)]
    data = b"\0\1" + b"\0".join(part.encode() for part in parts) + b"\0"
    asked = packet.parse_request(data + b"\0" + rest)
    assert asked.filename == name
    assert dict(asked.options) == options


def test_names_that_are_not_utf8_can_be_logged_and_stored() -> None:
    packet.parse_request(b"\0\1\xff\xfe\0octet\0").filename.encode("utf-8")


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\1\1a\0b\0", b"\0\4\0\1", b"\0\5\0\0\0", b"\0\0", b"\0\7"]
)
def test_what_is_no_request_says_so(data: bytes) -> None:
    with pytest.raises(packet.NotARequest):
        packet.parse_request(data)


def test_an_error_packet_has_code_text_and_end() -> None:
    assert packet.error(1, "No file") == b"\0\5\0\1No file\0"


@given(st.text(max_size=1000))
def test_an_error_packet_is_short_and_ends_once(text: str) -> None:
    data = packet.error(0, text)
    assert len(data) < 512
    assert data.index(b"\0", 4) == len(data) - 1


def test_an_oack_lists_options_in_order() -> None:
    assert packet.oack({"blksize": "1468", "tsize": "9"}) == b"\0\6blksize\x001468\0tsize\x009\0"


@given(st.binary(max_size=300))
def test_the_text_of_any_error_is_printable(data: bytes) -> None:
    assert packet.error_text(b"\0\5\0\x08" + data).isprintable()
