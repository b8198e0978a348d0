"""Nothing that a boot loader would read as its own language gets into a boot spec."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drophammer.bootspec import check_file_url, check_parameters, normal_mac
from drophammer.errors import Invalid


def test_usual_parameters_pass_in_order() -> None:
    text = "nofb vga=normal console=ttyS0,115200n8 root=UUID=1-2 ip=[fd00::1]:dhcp"
    assert check_parameters(text, "x") == tuple(text.split())


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("quiet\nreboot", 5),
        ("a=1 b=${net0/mac}", 6),
        ("a={{ node }}", 2),
        ("a=1;b", 3),
        ('a="b c"', 2),
        ("a=b\\c", 3),
        ("a=\x00", 2),
        ("a=b`c`", 3),
        ("\u2028", 0),
        ("-leading", 0),
        ("a=(b)", 2),
    ],
)
def test_a_bad_character_is_refused_with_its_position(text: str, position: int) -> None:
    with pytest.raises(Invalid, match=rf"driver_info: .* position {position} "):
        check_parameters(text, "driver_info")


def test_more_than_a_kernel_takes_is_refused() -> None:
    with pytest.raises(Invalid, match="10241 characters"):
        check_parameters("a" * 10241, "x")


@given(st.text())
def test_whatever_passes_is_plain(text: str) -> None:
    try:
        parameters = check_parameters(text, "x")
    except Invalid:
        return
    for parameter in parameters:
        assert not set(parameter) & set("\"'`;&${}()<>|\\!#*^\n\r\t\0 ")
        assert parameter.isascii()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b",
        "http://u:p@h/k",
        "file:",
        "file:kernel",
        "file:/kernel",
        "file://host/kernel",
        "file:///",
        "http:kernel",
        "http:///kernel",
        "http://h:99999/k",
        "http://[::1",
        "http://[zz]/k",
        "http://h/" + "k" * 1024,
        "http://h/k\nboot",
        "http://h/${x}",
        "kernel",
    ],
)
def test_a_url_that_no_loader_should_see_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="deploy_kernel"):
        check_file_url(url, "deploy_kernel")


@pytest.mark.parametrize("url", ["http://h/k", "https://[fd00::1]:8080/k?x=1", "file:///boot/k"])
def test_a_url_of_a_file_passes(url: str) -> None:
    assert check_file_url(url, "deploy_kernel") == url


def test_macs_are_made_one_form() -> None:
    assert normal_mac(" 52-54-00-AB-cd-01") == "52:54:00:ab:cd:01"
    with pytest.raises(Invalid):
        normal_mac("52:54:00:ab:cd")
