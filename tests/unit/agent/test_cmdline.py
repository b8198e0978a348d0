"""The kernel command line as the agent reads it."""

import pytest

from agent import cmdline
from agent.errors import ConfigurationError


def options(text: str) -> cmdline.Options:
    return cmdline.Options(cmdline.parse(text))


def test_quotes_hold_a_value_with_spaces_together():
    assert cmdline.parse('quiet ipa-x="a b" ro')["ipa-x"] == "a b"


def test_quotes_round_a_whole_word_fall_away():
    assert cmdline.parse('"ipa-x=a b" ro') == {"ipa-x": "a b", "ro": ""}


def test_an_empty_quoted_word_is_a_word():
    assert cmdline.words('a "" b') == [("a", None), ("", None), ("b", None)]


def test_the_last_of_two_equal_options_wins():
    assert options("ipa-debug=0 ipa-debug=1").debug is True


def test_several_api_urls_are_a_list():
    assert options("ipa-api-url=http://a:1,http://b:2").api_urls == ["http://a:1", "http://b:2"]


@pytest.mark.parametrize(
    ("written", "mac"),
    [
        ("01-52-54-00-22-00-0A", "52:54:00:22:00:0a"),
        ("52:54:00:22:00:0a", "52:54:00:22:00:0a"),
        ("52-54-00-22-00-0a", "52:54:00:22:00:0a"),
        ("", ""),
        ("01-52-54", ""),
        ("01-zz-54-00-22-00-0a", ""),
    ],
)
def test_both_forms_of_bootif_give_the_mac(written, mac):
    assert options(f"BOOTIF={written}").boot_mac == mac


def test_defaults_are_those_of_the_protocol():
    default = options("")
    assert (default.listen_host, default.listen_port) == ("::", 9999)
    assert (default.lookup_timeout, default.lookup_interval) == (600, 1)
    assert (default.image_timeout, default.image_retries, default.image_retry_interval) == (
        60,
        9,
        10,
    )
    assert (default.disk_wait_attempts, default.disk_wait_delay) == (10, 3)


@pytest.mark.parametrize(
    "text",
    [
        "ipa-lookup-timeout=soon",
        "ipa-listen-port=70000",
        "ipa-listen-port=9.5",
        "ipa-debug=maybe",
        "ipa-lookup-interval=-1",
        "ipa-lookup-interval=nan",
    ],
)
def test_a_value_that_makes_no_sense_is_an_error_that_names_the_option(text):
    with pytest.raises(ConfigurationError, match=text.partition("=")[0]):
        options(text)


def test_the_token_is_masked_for_logs():
    masked = cmdline.masked("quiet ipa-agent-token=abc ipa-debug=1")
    assert masked == "quiet ipa-agent-token=*** ipa-debug=1"


def test_the_options_do_not_show_the_token():
    assert "secret" not in repr(options("ipa-agent-token=secretsecret"))
