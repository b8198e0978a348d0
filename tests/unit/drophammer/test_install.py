"""Foreign packages under our names are noticed."""

from __future__ import annotations

import pytest

from drophammer import install
from drophammer.errors import Invalid


def test_our_own_packages_pass() -> None:
    install.check()


def test_a_package_from_elsewhere_is_named() -> None:
    with pytest.raises(Invalid, match=r"'json' is found at .*another package of that name"):
        install.check(["api", "json"])


def test_a_missing_package_is_named() -> None:
    with pytest.raises(Invalid, match="'nowhere' is found at no file"):
        install.check(["nowhere"])
