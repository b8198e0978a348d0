"""What is granted of the options that a TFTP client asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.services.tftp_options import MAX_WINDOW_BYTES, Limits, negotiate

WIDE = Limits(max_blksize=65464, max_windowsize=65535)
NAMES = ["blksize", "windowsize", "timeout", "tsize"]


def granted(
    options: dict[str, str], limits: Limits = WIDE, *, ipv6: bool = False
) -> dict[str, str]:
    return dict(negotiate(options, limits, 4711, ipv6=ipv6).answered)


def test_no_options_mean_the_terms_of_rfc_1350() -> None:
    terms = negotiate({}, WIDE, 4711, ipv6=False)
    assert (terms.blksize, terms.windowsize, terms.timeout) == (512, 1, None)
    assert not terms.answered


@pytest.mark.parametrize(("asked", "answer"), [("8", "8"), ("1468", "1468"), ("65464", "65464")])
def test_a_valid_blksize_is_granted(asked: str, answer: str) -> None:
    assert granted({"blksize": asked}) == {"blksize": answer}


def test_a_blksize_beyond_the_standard_is_lowered() -> None:
    assert granted({"blksize": "65500"}) == {"blksize": "65464"}


def test_ipv6_gets_twenty_less() -> None:
    assert granted({"blksize": "1468"}, Limits(), ipv6=True) == {"blksize": "1448"}


def test_a_window_is_never_larger_than_what_a_socket_buffers() -> None:
    terms = negotiate({"blksize": "65464", "windowsize": "64"}, WIDE, 4711, ipv6=False)
    assert terms.windowsize == 1
    assert negotiate({"windowsize": "65535"}, WIDE, 1, ipv6=False).windowsize == 192


def test_tsize_is_answered_with_the_size() -> None:
    assert granted({"tsize": "0"}) == {"tsize": "4711"}


def test_a_timeout_longer_than_allowed_is_not_granted() -> None:
    assert granted({"timeout": "61"}) == {}
    assert granted({"timeout": "60"}) == {"timeout": "60"}


@pytest.mark.parametrize("value", ["", "abc", "-1", "1.5", " 8", "0x10", "\u0661\u0662", "9" * 11])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_is_dropped(name: str, value: str) -> None:
    assert granted({name: value}) == {}


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=12) | st.integers(0).map(str)))
def test_terms_never_leave_their_bounds(options: dict[str, str]) -> None:
    limits = Limits()
    terms = negotiate(options, limits, 4711, ipv6=False)
    assert 8 <= terms.blksize <= limits.max_blksize
    assert 1 <= terms.windowsize <= limits.max_windowsize
    assert terms.windowsize == 1 or terms.windowsize * terms.blksize <= MAX_WINDOW_BYTES
    assert terms.timeout is None or 1 <= terms.timeout <= limits.max_timeout
    for name, value in terms.answered.items():
        assert name == "tsize" or int(value) <= int(options[name])
