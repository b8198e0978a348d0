"""What operators read: code words, error texts, and what is never in them."""

from __future__ import annotations

from typing import get_args

import pytest

from conductor.ipmi import codes, failures
from conductor.ipmi.protocol import Failure, Kind
from conductor.ipmi.target import BmcTarget
from drophammer.errors import BmcAuthFailed, BmcError, BmcUnreachable
from drophammer.secret import Secret

TARGET = BmcTarget("192.0.2.7", 623, "admin", Secret("pw-1234"))


@pytest.mark.parametrize(
    ("code", "netfn", "command", "text"),
    [
        (0xD4, 0, 2, "completion code 0xd4: the user's privilege is too low for this command"),
        (0x80, 0, 8, "completion code 0x80: the BMC does not support this boot parameter"),
        (0x80, 0x2E, 1, "completion code 0x80: a code without a general meaning"),
        (0x05, 0x2E, 1, "completion code 0x05: a code of the maker's own, see the manual"),
    ],
)
def test_a_completion_code_has_words(code, netfn, command, text):
    assert codes.completion(code, netfn, command).startswith(text)


def test_a_log_in_status_has_words():
    assert codes.rmcp_status(0x11) == "status 0x11: the BMC has none of the offered cipher suites"


def test_an_unknown_log_in_status_still_shows_its_number():
    assert codes.rmcp_status(0xEE).startswith("status 0xee")


def test_an_error_says_what_was_tried_against_whom_what_came_and_what_to_check():
    text = str(failures.error("power on", TARGET, Failure("refused", "nobody listens")))
    assert text == (
        "IPMI power on failed at BMC 192.0.2.7:623 (user 'admin'): nobody listens. Check"
        " ipmi_address and ipmi_port, and that IPMI over LAN is enabled in the BMC."
    )


def test_a_missing_user_name_is_said():
    text = str(failures.error("power on", BmcTarget("b"), Failure("auth", "x")))
    assert "(no user name)" in text


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unresolved", BmcUnreachable),
        ("unreachable", BmcUnreachable),
        ("unknown", BmcUnreachable),
        ("lost", BmcUnreachable),
        ("auth", BmcAuthFailed),
        ("code", BmcError),
        ("trouble", BmcError),
    ],
)
def test_each_kind_has_its_error(kind, error):
    assert type(failures.error("x", TARGET, Failure(kind, "y"))) is error


@pytest.mark.parametrize("kind", get_args(Kind))
def test_no_error_shows_the_password(kind):
    assert "pw-1234" not in str(failures.error("x", TARGET, Failure(kind, "y")))
