"""driver_info to BmcTarget: every ipmi_* key, right and wrong."""

from __future__ import annotations

import pytest

from conductor.ipmi.target import PROPERTIES, BmcTarget, flag, from_driver_info
from drophammer.errors import Invalid, Unsupported
from drophammer.secret import Secret

MINIMUM = {"ipmi_address": "192.0.2.7"}


def test_an_address_is_enough():
    assert from_driver_info(MINIMUM) == BmcTarget(
        "192.0.2.7", 623, "", Secret(""), "ADMINISTRATOR", "2.0", "auto", None
    )


def test_every_value_arrives():
    target = from_driver_info(
        {
            "ipmi_address": "bmc7.example.org",
            "ipmi_port": "6230",
            "ipmi_username": "admin",
            "ipmi_password": "secret",
            "ipmi_priv_level": "OPERATOR",
            "ipmi_protocol_version": "2.0",
            "ipmi_cipher_suite": 3,
            "ipmi_hex_kg_key": "00fF",
            "deploy_kernel": "http://192.0.2.1/kernel",
        }
    )
    assert target == BmcTarget(
        "bmc7.example.org", 6230, "admin", Secret("secret"), "OPERATOR", "2.0", "3", Secret("00fF")
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ipmi_address", None, "ipmi_address is missing"),
        ("ipmi_address", "", "ipmi_address is missing"),
        ("ipmi_address", 7, "a host name or an IP address"),
        ("ipmi_address", "192.0.2.300", "a host name or an IP address"),
        ("ipmi_address", "192.0.2.7:623", "a host name or an IP address"),
        ("ipmi_address", "[2001:db8::1]", "a host name or an IP address"),
        ("ipmi_address", "bmc; reboot", "a host name or an IP address"),
        ("ipmi_address", "-bmc", "a host name or an IP address"),
        ("ipmi_address", "bmc\n", "a host name or an IP address"),
        ("ipmi_address", "a" * 254, "a host name or an IP address"),
        ("ipmi_port", 0, "whole numbers from 1 to 65535"),
        ("ipmi_port", 65536, "whole numbers from 1 to 65535"),
        ("ipmi_port", "x", "whole numbers from 1 to 65535"),
        ("ipmi_port", True, "whole numbers from 1 to 65535"),
        ("ipmi_port", 623.5, "whole numbers from 1 to 65535"),
        ("ipmi_terminal_port", "tty", "whole numbers from 1 to 65535"),
        ("ipmi_username", "a" * 17, "longer than the 16 bytes"),
        ("ipmi_username", ["admin"], "allowed is a text"),
        ("ipmi_password", "x" * 21, "longer than the 20 bytes"),
        ("ipmi_password", "a\0b", "zero byte"),
        ("ipmi_password", {"x": 1}, "allowed is a text"),
        ("ipmi_password", "\ud800", "not proper Unicode"),
        ("ipmi_priv_level", "ROOT", "CALLBACK, USER, OPERATOR, ADMINISTRATOR"),
        ("ipmi_protocol_version", "3.0", "allowed are 2.0, 1.5"),
        ("ipmi_cipher_suite", "0", "allowed are auto, 3, 17"),
        ("ipmi_cipher_suite", True, "allowed are auto, 3, 17"),
        ("ipmi_hex_kg_key", "abc", "hexadecimal"),
        ("ipmi_hex_kg_key", "xy", "hexadecimal"),
        ("ipmi_hex_kg_key", "00" * 21, "longer than the 40 digits"),
        ("ipmi_bridging", "triple", "allowed are no, single, dual"),
        ("ipmi_force_boot_device", "maybe", "true and false"),
        ("ipmi_disable_boot_timeout", 5, "true and false"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(key, value, said):
    with pytest.raises(Invalid) as caught:
        from_driver_info({**MINIMUM, key: value})
    assert key in str(caught.value)
    assert said in str(caught.value)


def test_several_problems_come_in_one_message():
    with pytest.raises(Invalid) as caught:
        from_driver_info({"ipmi_port": 0, "ipmi_priv_level": "root", "ipmi_cipher_suite": 1})
    for key in ("ipmi_address", "ipmi_port", "ipmi_priv_level", "ipmi_cipher_suite"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"), [("ipmi_password", "p4ssw0rd" * 4), ("ipmi_hex_kg_key", "deadbeefx")]
)
def test_a_wrong_secret_is_not_repeated(key, value):
    with pytest.raises(Invalid) as caught:
        from_driver_info({**MINIMUM, key: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("ipmi_cipher_suite", "17"), ("ipmi_hex_kg_key", "00")])
def test_protocol_1_5_refuses_what_only_2_0_has(key, value):
    with pytest.raises(Invalid, match=f"{key} does not exist in protocol 1.5"):
        from_driver_info({**MINIMUM, "ipmi_protocol_version": "1.5", key: value})


def test_protocol_1_5_has_shorter_passwords():
    long = {**MINIMUM, "ipmi_password": "x" * 17}
    assert from_driver_info(long).password == Secret("x" * 17)
    with pytest.raises(Invalid, match="longer than the 16 bytes"):
        from_driver_info({**long, "ipmi_protocol_version": 1.5})


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("single", ["ipmi_target_channel", "ipmi_target_address"]),
        ("dual", ["ipmi_target_address", "ipmi_transit_channel", "ipmi_transit_address"]),
    ],
)
def test_bridging_names_the_keys_it_lacks(mode, keys):
    with pytest.raises(Invalid) as caught:
        from_driver_info({**MINIMUM, "ipmi_bridging": mode})
    assert all(f"{key} is missing" in str(caught.value) for key in keys)


def test_complete_bridging_is_refused_as_unsupported():
    channel = {"ipmi_target_channel": "0", "ipmi_target_address": "0x72"}
    with pytest.raises(Unsupported, match="ipmi_bridging is 'single'"):
        from_driver_info({**MINIMUM, "ipmi_bridging": "single", **channel})


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "2001:db8::7", "fe80::1%eth0", "bmc", "bmc-7.rack_2.example.org."]
)
def test_usual_addresses_are_accepted(address):
    assert from_driver_info({"ipmi_address": address}).address == address


@pytest.mark.parametrize(("value", "expected"), [(True, True), ("no", False), ("True", True)])
def test_a_flag_is_read(value, expected):
    assert flag({"ipmi_force_boot_device": value}, "ipmi_force_boot_device", False) is expected


def test_a_missing_flag_has_the_given_default():
    assert flag({}, "ipmi_disable_boot_timeout", True) is True


def test_a_wrong_flag_is_refused():
    with pytest.raises(Invalid, match="ipmi_force_boot_device is 'x'"):
        flag({"ipmi_force_boot_device": "x"}, "ipmi_force_boot_device", False)


def test_the_endpoint_of_ipv6_has_brackets():
    assert BmcTarget("2001:db8::7").endpoint == "[2001:db8::7]:623"


def test_a_target_does_not_show_its_secrets():
    target = BmcTarget("b", 623, "admin", Secret("pw-1234"), kg=Secret("c0ffee"))
    assert "pw-1234" not in repr(target)
    assert "c0ffee" not in repr(target)


def test_targets_can_be_keys():
    assert len({BmcTarget("a"), BmcTarget("a"), BmcTarget("b")}) == 2


def test_every_property_is_described_by_a_sentence():
    assert "ipmi_address" in PROPERTIES
    assert all(key.startswith("ipmi_") and text.endswith(".") for key, text in PROPERTIES.items())
