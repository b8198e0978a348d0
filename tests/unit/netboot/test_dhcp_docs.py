"""docs/dhcp.md and the table of docs/booting.md say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from netboot.dhcp.architectures import ARCHITECTURES
from netboot.dhcp.personas import PERSONAS
from netboot.subnet_options import SUBNET

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.seed("s55")
def test_what_a_pxe_client_is_and_does_is_documented() -> None:
    text = (DOCS / "dhcp.md").read_text()
    part = text.split("## What a PXE client is and does", 1)[1].split("\n## ", 1)[0]
    for word in ("DISCOVER", "OFFER", "REQUEST", "TFTP", "HTTP", "proxy", "iPXE", "pxelinux"):
        assert word in part
    for option in (55, 60, 77, 93, 94, 97, 175):
        assert str(option) in part


def test_every_loader_and_architecture_is_in_the_table() -> None:
    text = (DOCS / "booting.md").read_text()
    part = text.split("## Who gets which loader", 1)[1].split("\n## ", 1)[0]
    for kind in ARCHITECTURES:
        assert f"`{kind.ipxe}`" in part
        assert f"`{kind.pxe}`" in part
        assert all(str(number) in part for number in kind.numbers)


def test_every_kind_of_client_and_option_is_named() -> None:
    text = (DOCS / "dhcp.md").read_text()
    assert all(name in text for name in PERSONAS)
    for option in SUBNET:
        # These say all in their own help.
        if option.dest not in ("lease_seconds", "dns", "ntp", "next_server"):
            assert option.dest.replace("ipv6_range_", "range_") in text, option.dest
