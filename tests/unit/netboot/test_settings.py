"""Options become settings, or an error that names the option."""

from __future__ import annotations

from typing import Any

import pytest
from oslo_config import cfg

from drophammer.errors import Invalid
from netboot.options import GROUPS
from netboot.settings import Settings

DHCP = {
    "address": "172.22.0.1",
    "interface": "br0",
    "dhcp_enabled": True,
    "dhcp_range_start": "172.22.0.50",
    "dhcp_range_end": "172.22.0.99",
}


def settings(**values: Any) -> Settings:
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=group)
    conf([], default_config_files=[], default_config_dirs=[])
    for option, value in values.items():
        conf.set_override(option, value, group="netboot")
    return Settings.from_conf(conf)


def test_the_defaults_are_settings_without_dhcp() -> None:
    found = settings()
    assert str(found.address) == "127.0.0.1"
    assert (found.http_port, found.tftp_port) == (8080, 69)
    assert found.dhcp is None


def test_every_option_says_when_to_change_it() -> None:
    for _, options in GROUPS:
        for option in options:
            assert len(option.help or "") > 40, option.name


def test_dhcp_settings_know_their_network() -> None:
    found = settings(**DHCP).dhcp
    assert found is not None
    (subnet,) = found.subnets
    assert (str(subnet.network), subnet.mode) == ("172.22.0.0/24", "server")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"address": "boot.example"}, "address"),
        ({"address": "0.0.0.0"}, "address"),
        ({"address": "fd00::1"}, "dhcp_enabled"),
        ({"network_namespace": "../../etc"}, "network_namespace"),
        ({"interface": ""}, "interface"),
        ({"interface": "br0\ndhcp-script=/bin/sh"}, "interface"),
        ({"dhcp_range_start": ""}, "dhcp_range_start"),
        ({"dhcp_range_start": "10.0.0.1"}, "dhcp_range_start"),
        ({"dhcp_range_end": "172.22.0.40"}, "dhcp_range_end"),
        ({"dhcp_range_start": "172.22.0.1"}, "our own address"),
        ({"dhcp_netmask": "255.0.255.0"}, "dhcp_netmask"),
        ({"dhcp_router": "10.0.0.1"}, "dhcp_router"),
        ({"dhcp_dns": ["ns.example"]}, "dhcp_dns"),
        ({"ipv6_prefix": "fd00:22::/48"}, "ipv6_prefix"),
        ({"ipv6_prefix": "172.22.0.0/24"}, "ipv6_prefix"),
        ({"state_dir": "relative"}, "state_dir"),
        ({"state_dir": "/s\ndhcp-script=/bin/sh"}, "state_dir"),
        ({"boot_dir": '/a"b'}, "boot_dir"),
        ({"file_url_allowed_paths": ["/ok", "not"]}, "file_url_allowed_paths"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_option(
    change: dict[str, Any], named: str
) -> None:
    with pytest.raises(Invalid, match=named):
        settings(**{**DHCP, **change})
