"""Passwords, and where the API may listen without asking for them."""

from __future__ import annotations

import pytest

from api.auth import check_exposure, is_loopback
from drophammer.errors import Invalid


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_loopback_addresses_need_no_passwords(host: str) -> None:
    check_exposure(host, "noauth")


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "", "example.com", "::ffff:10.0.0.1"]
)
def test_other_addresses_are_refused_without_passwords(host: str) -> None:
    with pytest.raises(Invalid, match="auth_strategy = http_basic"):
        check_exposure(host, "noauth")


def test_other_addresses_are_fine_with_passwords() -> None:
    check_exposure("0.0.0.0", "http_basic")


def test_a_loopback_address_in_ipv6_clothes_is_loopback() -> None:
    assert is_loopback("::ffff:127.0.0.1")
