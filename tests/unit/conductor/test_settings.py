"""The options of interfaces and of fake hardware, from configuration to settings."""

from __future__ import annotations

from typing import Any

import pytest
from oslo_config import cfg

from conductor.drivers.registry import Drivers
from conductor.fakefaults import Fault
from conductor.options import FAKE_KINDS, GROUPS
from conductor.settings import Settings
from drophammer.errors import BmcUnreachable, Invalid


def settings(**groups: dict[str, Any]) -> Settings:
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, None if group == "DEFAULT" else group)
    conf([])
    for group, values in groups.items():
        for name, value in values.items():
            conf.set_override(name, value, None if group == "DEFAULT" else group)
    return Settings.from_conf(conf)


def test_without_configuration_everything_is_enabled_and_nothing_fails() -> None:
    made = settings()
    assert made.enabled_interfaces == {}
    assert made.fake_faults == {}
    assert set(Drivers.of(made).types) == {"fake-hardware", "ipmi", "manual-management"}


def test_every_fake_interface_has_its_delay_and_its_fault() -> None:
    fake = {f"{kind}_delay": "1,2" for kind in FAKE_KINDS}
    fake |= {f"{kind}_fault": "0.5 BmcUnreachable: gone" for kind in FAKE_KINDS}
    made = settings(fake=fake)
    assert made.fake_delays == dict.fromkeys(FAKE_KINDS, (1.0, 2.0))
    assert made.fake_faults == dict.fromkeys(FAKE_KINDS, Fault(0.5, BmcUnreachable, "gone"))


def test_enabled_interfaces_are_read_per_kind() -> None:
    made = settings(DEFAULT={"enabled_deploy_interfaces": ["direct", "fake"]})
    assert made.enabled_interfaces == {"deploy": ("direct", "fake")}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"power_delay": "soon"}, "power_delay = 'soon'"),
        ({"power_fault": "7"}, r"\[fake\] power_fault: the probability 7"),
    ],
)
def test_a_wrong_value_names_its_option(values: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        settings(fake=values)


def test_the_power_sync_has_the_names_and_defaults_that_operators_know() -> None:
    made = settings()
    assert (made.power_sync_interval, made.power_sync_workers, made.power_sync_retries) == (
        60,
        8,
        3,
    )
    assert (made.power_recovery_interval, made.force_power_state) == (300, False)
    values = {
        "sync_power_state_interval": 0,
        "sync_power_state_workers": 2,
        "power_state_sync_max_retries": 0,
        "force_power_state_during_sync": True,
        "power_failure_recovery_interval": 30,
    }
    made = settings(conductor=values)
    assert (made.power_sync_interval, made.power_sync_workers, made.power_sync_retries) == (0, 2, 0)
    assert (made.power_recovery_interval, made.force_power_state) == (30, True)
