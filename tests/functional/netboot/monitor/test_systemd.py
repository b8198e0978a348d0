"""Programs that systemd runs. A script answers in the place of ``systemctl``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import Unavailable
from netboot.monitor.programs import ntp_service, tgt_service
from tests.patience import AT_ONCE, PATIENCE

RACK = {"address": "172.22.0.1"}
# The state of the unit is a file beside the script; "start" and "stop" write it.
UNIT = """
state=$(dirname "$0")/unit.state
[ -e "$state" ] || echo inactive > "$state"
case "$*" in
*show*) echo LoadState=loaded; echo "ActiveState=$(cat "$state")"; echo SubState=running
        echo Result=exit-code; echo MainPID=4242; echo ExecMainStatus=1 ;;
*start*) echo active > "$state" ;;
*stop*) echo inactive > "$state" ;;
esac
"""


def shows(**properties: str) -> str:
    return "\n".join(f"echo {name}={value}" for name, value in properties.items())


@pytest.mark.seed("s1")
def test_a_unit_that_died_is_noticed_and_started_within_one_look(
    watch: Any, host: Any, stand_in: Any
) -> None:
    calls = stand_in("systemctl", UNIT)
    service = tgt_service(host(systemd=True, **RACK))
    monitor = watch.over(service)
    monitor.look()
    row = watch.row("tgt")
    assert (row.unit, row.managed_by) == ("tgt.service", "systemd")
    assert (row.expected, row.actual) == ("on", "running")
    assert "pid 4242" in row.reason
    (calls.parent / "unit.state").write_text("failed\n")
    monitor.look()
    assert watch.row("tgt").actual == "running"
    died, again = watch.told()[-2:]
    assert died == "tgt on rack-7 is dead: failed: exit-code, code 1"
    assert again == "tgt on rack-7 is running: running"
    said = calls.read_text().splitlines()
    assert said.count("--no-pager --no-ask-password start -- tgt.service") == 2
    assert all(line.endswith(" -- tgt.service") for line in said)


@pytest.mark.seed("s1")
def test_systemd_that_is_asked_for_and_does_not_run_is_a_clear_sentence(
    watch: Any, host: Any
) -> None:
    service = tgt_service(host(service_manager="systemd", **RACK))
    monitor = watch.over(service)
    monitor.look()
    row = watch.row("tgt")
    assert (row.expected, row.actual, row.managed_by) == ("on", "unavailable", "systemd")
    assert row.reason.startswith("cannot manage tgt.service: systemd does not run on this host")
    with pytest.raises(Unavailable, match=r"Cannot manage tgt\.service"):
        monitor.restart("tgt")


@pytest.mark.parametrize(
    ("properties", "state", "words"),
    [
        ({"LoadState": "not-found"}, "unavailable", "no unit tgt.service; install the package tgt"),
        ({"LoadState": "masked"}, "unavailable", "is masked; run `systemctl unmask tgt.service`"),
        ({"LoadState": "bad-setting"}, "dead", "could not load tgt.service: bad-setting"),
        ({"LoadState": "loaded", "ActiveState": "activating"}, "starting", ""),
        (
            {"LoadState": "loaded", "ActiveState": "activating", "SubState": "auto-restart",
             "Result": "signal"},
            "dead",
            "activating: signal",
        ),
        ({"LoadState": "loaded", "ActiveState": "failed", "Result": "timeout"}, "dead", "timeout"),
        ({}, "dead", "no answer"),
    ],
)  # fmt: skip
def test_each_way_in_which_a_unit_does_not_run_is_named(
    watch: Any, host: Any, stand_in: Any, properties: dict[str, str], state: str, words: str
) -> None:
    stand_in("systemctl", f'case "$*" in *show*) :\n{shows(**properties)};; esac')
    watch.over(tgt_service(host(systemd=True, **RACK))).look()
    row = watch.row("tgt")
    assert (row.actual, words in row.reason) == (state, True), row.reason


def test_a_systemctl_that_hangs_or_fails_is_ended_and_named(
    watch: Any, host: Any, stand_in: Any
) -> None:
    # The grandchild holds the pipes open after its parent is gone.
    stand_in("systemctl", f"sleep {PATIENCE:.0f} & wait")
    begun = time.monotonic()
    watch.over(tgt_service(host(systemd=True, systemctl_seconds=0.5, **RACK))).look()
    assert time.monotonic() - begun < AT_ONCE
    assert "did not come to an end within 0.5 s" in watch.row("tgt").reason
    stand_in("systemctl", "echo 'Interactive authentication required.' >&2; exit 4")
    watch.over(tgt_service(host(systemd=True, **RACK))).look()
    row = watch.row("tgt")
    assert "ended with code 4: Interactive authentication required." in row.reason


@pytest.mark.seed("s1")
def test_time_that_another_role_serves_is_looked_at_only(
    watch: Any, host: Any, stand_in: Any
) -> None:
    calls = stand_in("systemctl", UNIT)
    on = host(systemd=True, **{"ntp.managed_by": "the region controller"}, **RACK)
    watch.over(ntp_service(on)).look()
    row = watch.row("ntp")
    assert (row.expected, row.actual) == ("any", "off")
    assert row.expected_reason == "managed elsewhere: the region controller"
    assert "start" not in calls.read_text()


def test_a_unit_of_something_that_is_switched_off_is_left_alone(
    watch: Any, host: Any, stand_in: Any
) -> None:
    calls = stand_in("systemctl", UNIT)
    (calls.parent / "unit.state").write_text("active\n")
    on = host(systemd=True, **{"tgt.enabled": False}, **RACK)
    watch.over(tgt_service(on)).look()
    row = watch.row("tgt")
    assert (row.expected, row.actual) == ("any", "running")
    assert "stop" not in calls.read_text()


def test_a_unit_of_time_gets_its_configuration_tested_before_it_is_used(
    watch: Any, host: Any, stand_in: Any, tmp_path: Path
) -> None:
    stand_in("systemctl", UNIT)
    tested = stand_in("chronyd", "")
    conf = tmp_path / "drophammer.conf"
    options = {"ntp.enabled": True, "ntp.unit_config": str(conf), "ntp.servers": ["ntp.example"]}
    watch.over(ntp_service(host(systemd=True, **options, **RACK))).look()
    assert watch.row("ntp").actual == "running"
    assert tested.read_text() == f"-p -f {conf}.new\n"
    assert "server ntp.example iburst\n" in conf.read_text()
    assert "pidfile" not in conf.read_text()
