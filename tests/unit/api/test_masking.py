"""What is hidden, and what is not."""

from __future__ import annotations

import pytest

from drophammer.masking import MASK, mask, unmask


@pytest.mark.parametrize(
    "key",
    [
        "ipmi_password",
        "Redfish_PASSWORD",
        "agent_secret_token",
        "snmp_auth_key",
        "ipmi_hex_kg_key",
        "configdrive",
        "image_url",
        "image_pull_secret",
        "api_key",
        "apikey",
        "X-Api-Key",
        "aws_access_key",
        "passwd",
        "ipmi_pwd",
        "ipmi_pass",
        "Pass",
        "user-pass",
        "credentials",
        "private-key",
        "ssh_key",
        "root_ssh_keys",
        "snmp_community",
        "snmp-auth-key",
        "bearer",
        "public_token",
    ],
)
def test_a_secret_is_hidden(key: str) -> None:
    assert mask({key: "hunter2"}) == {key: MASK}


def test_a_secret_deep_inside_is_hidden() -> None:
    assert mask({"a": [{"b": {"password": "x"}}]}) == {"a": [{"b": {"password": MASK}}]}


def test_a_secret_that_is_an_object_is_hidden_whole() -> None:
    assert mask({"configdrive": {"user_data": "x"}}) == {"configdrive": MASK}


def test_the_rest_is_shown() -> None:
    info = {"ipmi_address": "192.0.2.1", "ipmi_port": 623, "image_source": "http://x/y"}
    assert mask(info) == info


@pytest.mark.parametrize(
    "key",
    [
        "bypass",
        "passthrough",
        "compass_id",
        "public_key",
        "public_keys",
        "ssh_public_key",
        "public_ssh_key",
        "ssh_authorized_keys",
        "key_id",
    ],
)
def test_what_only_looks_like_a_secret_is_shown(key: str) -> None:
    assert mask({key: "x"}) == {key: "x"}


def test_the_original_stays_as_it_is() -> None:
    info = {"password": "x"}
    mask(info)
    assert info == {"password": "x"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://user:hunter2@host/image", "http://user:******@host/image"),
        ("http://:hunter2@host", "http://:******@host"),
        ("nfs://u:p@ss@host/a@b", "nfs://u:******@host/a@b"),
        ("http://user@host/a:b@c", "http://user@host/a:b@c"),
        ("mailto:somebody@example.org", "mailto:somebody@example.org"),
    ],
)
def test_a_password_in_a_url_is_hidden(given: str, shown: str) -> None:
    assert mask({"image_source": [given]}) == {"image_source": [shown]}


def test_what_is_written_back_as_it_was_shown_keeps_its_secrets() -> None:
    old = {
        "ipmi_password": "hidden",
        "ipmi_address": "10.0.0.1",
        "inner": {"token": "t", "n": 1},
        "url": "http://user:pw@host/",
    }
    shown = mask(old)
    assert unmask(shown, old) == old
    shown["ipmi_address"] = "10.0.0.2"
    shown["inner"]["n"] = 2
    del shown["url"]
    assert unmask(shown, old) == {
        "ipmi_password": "hidden",
        "ipmi_address": "10.0.0.2",
        "inner": {"token": "t", "n": 2},
    }
    assert unmask({"ipmi_password": "new", "other": MASK}, old) == {
        "ipmi_password": "new",
        "other": MASK,
    }


@pytest.mark.parametrize("key", ["adminPass", "sys_pswd", "fernetkey", "swift_temp_url_key"])
def test_more_names_of_secrets(key: str) -> None:
    assert mask({key: "x"}) == {key: MASK}
