"""The API's options and the plain settings made of them."""

from __future__ import annotations

from oslo_config import cfg

from api.options import GROUPS
from api.settings import Settings


def loaded() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=None if group == "DEFAULT" else group)
    conf([], default_config_files=[])
    return conf


def test_the_options_defaults_are_the_settings_defaults() -> None:
    assert Settings.from_conf(loaded()) == Settings()


def test_options_of_the_conductor_count_where_they_are_registered() -> None:
    conf = loaded()
    conf.register_opts([cfg.BoolOpt("require_tls", default=False)], group="agent")
    assert Settings.from_conf(conf).agent_require_tls is False


def test_every_option_has_a_help_sentence() -> None:
    assert all(option.help and option.help.endswith(".") for _, opts in GROUPS for option in opts)
