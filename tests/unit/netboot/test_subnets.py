"""[dhcp] and [subnet:NAME] become settings, or an error that names the option and the position."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from drophammer.errors import Invalid
from embedded.options import unknown
from netboot.options import GROUPS
from netboot.settings import Settings
from netboot.subnets import DhcpSettings

NETBOOT = {"address": "172.22.0.1", "interface": "br0"}
RACK = {"cidr": "172.22.0.0/24", "range_start": "172.22.0.50", "range_end": "172.22.0.99"}
FAR = {
    "cidr": "10.2.0.0/24",
    "relay": "10.2.0.1",
    "range_start": "10.2.0.50",
    "range_end": "10.2.0.99",
}
SIX = {"ipv6_prefix": "fd00:22::/64", "ipv6_mode": "stateful"}


def read(folder: Path, **groups: dict[str, str]) -> DhcpSettings | None:
    lines = ["[netboot]", *(f"{name} = {value}" for name, value in NETBOOT.items())]
    for group, values in groups.items():
        title = "netboot" if group == "netboot" else f"subnet:{group}"
        lines.append(f"[{'dhcp' if group == 'dhcp' else title}]")
        lines += [f"{name} = {value}" for name, value in values.items()]
    file = folder / "conf"
    file.write_text("\n".join(lines) + "\n")
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=group)
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    return Settings.from_conf(conf).dhcp


def racks(folder: Path, **changes: str) -> DhcpSettings:
    found = read(folder, dhcp={"subnets": "rack1, rack2"}, rack1=RACK | changes, rack2=FAR)
    assert found is not None
    return found


def test_subnets_are_told_apart_by_address(tmp_path: Path) -> None:
    found = racks(tmp_path, enlist="true", **SIX, ipv6_range_start="fd00:22::5",
                  ipv6_range_end="fd00:22::9")  # fmt: skip
    for text, name in (
        ("172.22.0.7", "rack1"),
        ("10.2.0.200", "rack2"),
        ("fd00:22::abc", "rack1"),
    ):
        subnet = found.of(ip_address(text))
        assert subnet is not None
        assert subnet.name == name
    assert found.of(ip_address("10.3.0.1")) is None
    assert [subnet.enlist for subnet in found.subnets] == [True, False]
    assert found.interfaces == ("br0",)


def test_subnets_and_the_single_one_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="both set"):
        read(tmp_path, netboot={"dhcp_enabled": "true"}, dhcp={"subnets": "rack1"}, rack1=RACK)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"cidr": ""}, r"\[subnet:rack1\]cidr"),
        ({"cidr": "172.22.0.1/24"}, r"\[subnet:rack1\]cidr"),
        ({"cidr": "172.22.0.0/31"}, r"\[subnet:rack1\]cidr"),
        ({"cidr": "10.0.0.0/8", "range_start": "10.0.0.5", "range_end": "10.0.0.9"}, "overlaps"),
        ({"interface": "br0,lo"}, r"\[subnet:rack1\]interface: character ',' at position 3"),
        ({"interface": "a" * 16}, r"\[subnet:rack1\]interface"),
        ({"relay": "10.2.0.1"}, r"\[subnet:rack1\]relay"),
        ({"relay": "172.22.0.60"}, r"\[subnet:rack1\]relay 172.22.0.60 lies in the range"),
        ({"router": "172.22.0.60"}, r"\[subnet:rack1\]router 172.22.0.60 lies in the range"),
        ({"mode": "servant"}, r"\[subnet:rack1\]mode"),
        ({"range_start": ""}, r"\[subnet:rack1\]range_start"),
        ({"range_end": "172.22.0.40"}, r"\[subnet:rack1\]range_start"),
        ({"range_start": "172.22.0.1"}, "our own address"),
        ({"lease_seconds": "1"}, r"\[subnet:rack1\]lease_seconds"),
        ({"dns": "ns.example"}, r"\[subnet:rack1\]dns"),
        ({"ntp": "fd00::1"}, r"\[subnet:rack1\]ntp"),
        ({"next_server": "boot"}, r"\[subnet:rack1\]next_server"),
        ({"path_prefix": "a#b"}, r"\[subnet:rack1\]path_prefix: character '#' at position 1"),
        ({"path_prefix": 'ab"c'}, r"\[subnet:rack1\]path_prefix: character '\"' at position 2"),
        ({"path_prefix": "x" * 300}, r"\[subnet:rack1\]path_prefix"),
        ({"config_file": "a,b"}, r"\[subnet:rack1\]config_file: character ',' at position 1"),
        ({"config_file": "a\u2028b"}, r"\[subnet:rack1\]config_file: .* at position 1"),
        ({"ipv6_prefix": "fd00:22::/48"}, r"\[subnet:rack1\]ipv6_prefix"),
        ({"ipv6_mode": "stateless"}, r"\[subnet:rack1\]ipv6_prefix is needed"),
        (SIX, r"\[subnet:rack1\]ipv6_range_start"),
        ({**SIX, "ipv6_range_start": "fd01::1", "ipv6_range_end": "fd01::2"}, "no range in"),
        ({**SIX, "ipv6_range_start": "fe80::1%lo"}, r"\[subnet:rack1\]ipv6_range_start"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_option(
    tmp_path: Path, change: dict[str, str], named: str
) -> None:
    with pytest.raises(Invalid, match=named):
        racks(tmp_path, **change)


@pytest.mark.parametrize("name", ["Rack", "a b", "a#b", "a\u00e9", "x" * 21, "a:b"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="subnets"):
        read(tmp_path, dhcp={"subnets": name})


def test_a_name_stands_once(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="twice"):
        read(tmp_path, dhcp={"subnets": "a, a"}, a=RACK)


def test_a_subnet_that_nobody_describes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"\[subnet:rack9\]cidr"):
        read(tmp_path, dhcp={"subnets": "rack9"})


@pytest.mark.parametrize("value", ["br0\ndhcp-script=/bin/sh", "br0\0", 'br0"', "br0 "])
def test_nothing_that_dnsmasq_reads_as_its_own_gets_in(value: Any) -> None:
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=group)
    conf([], default_config_files=[], default_config_dirs=[])
    for name, text in {
        **NETBOOT,
        "dhcp_enabled": True,
        "dhcp_range_start": "172.22.0.50",
        "dhcp_range_end": "172.22.0.99",
        "interface": value,
    }.items():
        conf.set_override(name, text, group="netboot")
    with pytest.raises(Invalid, match=r"\[netboot\]interface: character .* at position 3"):
        Settings.from_conf(conf)


def test_a_slip_of_the_pen_in_a_subnet_is_found(tmp_path: Path) -> None:
    file = tmp_path / "conf"
    file.write_text("[dhcp]\nsubnets = a\n[subnet:a]\ncidr = 10.0.0.0/24\nranges = 1\n")
    assert unknown([file]) == ["[subnet:a] ranges"]
