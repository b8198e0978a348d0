"""python-ironicclient's command line against our API."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

# It talks to three modules of its own with a second of imports each time: one
# dialogue per noun, not one per command.
# These print nothing, so they know no format.
QUIET = frozenset({"set", "manage", "power", "maintenance", "delete"})
BAREMETAL = pathlib.Path(sys.executable).with_name("baremetal")
# Exported settings of a cloud would lead the client elsewhere.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}


@pytest.fixture
def baremetal(endpoint: str) -> Any:
    def run(command: str, *, fails: bool = False) -> Any:
        """What a command printed, decoded; its complaints when it is to fail."""
        form = [] if fails or command.split()[1] in QUIET else ["-f", "json"]
        done = subprocess.run(
            [str(BAREMETAL), *command.split(), *form],
            env={**CLEAN, "OS_AUTH_TYPE": "none", "OS_ENDPOINT": endpoint},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stderr
        if fails or not form:
            return done.stderr
        found = json.loads(done.stdout)
        return [_lower(row) for row in found] if isinstance(found, list) else _lower(found)

    return run


def _lower(row: dict[str, Any]) -> dict[str, Any]:
    """Column titles differ between releases in their capitals."""
    return {name.lower(): value for name, value in row.items()}


def test_the_life_of_a_node_and_its_port(baremetal, conductor) -> None:
    secret = "--driver-info ipmi_password=hunter2"
    created = baremetal(f"node create --driver fake-hardware --name rack-1 {secret}")
    assert (created["name"], created["provision_state"]) == ("rack-1", "enroll")
    assert created["driver_info"] == {"ipmi_password": "******"}
    assert [row["name"] for row in baremetal("node list")] == ["rack-1"]
    baremetal("node set rack-1 --extra a=b --resource-class big --retired --automated-clean")
    changed = baremetal("node show rack-1")
    assert (changed["extra"], changed["resource_class"]) == ({"a": "b"}, "big")
    assert (changed["retired"], changed["automated_clean"]) == (True, True)
    port = baremetal(f"port create --node {created['uuid']} 52:54:00:12:34:56")
    assert port["address"] == "52:54:00:12:34:56"
    assert [row["uuid"] for row in baremetal("port list")] == [port["uuid"]]
    baremetal("node manage rack-1")
    assert conductor.provisions.get(timeout=5) == "manage"
    baremetal("node power on rack-1")
    assert conductor.powers.get(timeout=5) == "power on"
    baremetal("node maintenance set rack-1 --reason fan")
    shown = baremetal("node show rack-1 --fields maintenance maintenance_reason")
    assert (shown["maintenance"], shown["maintenance_reason"]) == (True, "fan")
    baremetal("node delete rack-1")
    assert baremetal("node list") == []


def test_drivers_and_conductors_are_listed(baremetal) -> None:
    (driver,) = baremetal("driver list")
    assert "fake-hardware" in driver.values()
    assert baremetal("driver show fake-hardware")["default_power_interface"] == "fake"
    assert baremetal("driver property list fake-hardware")[0]["property"] == "power_delay"
    (conductor,) = baremetal("conductor list")
    assert (conductor["hostname"], conductor["alive"]) == ("conductor-1", True)


def test_a_refusal_is_shown_in_our_words(baremetal) -> None:
    assert "Node nobody could not be found." in baremetal("node show nobody", fails=True)
