"""Priorities of clean steps, from configuration file and node."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor import priorities
from conductor.settings import Settings
from drophammer.errors import Invalid
from drophammer.model import Node
from drophammer.operations import StepSpec
from embedded import options


def settings(tmp_path: Path, *lines: str) -> Settings:
    path = tmp_path / "drophammer.conf"
    path.write_text("[conductor]\n" + "\n".join(lines) + "\n")
    return Settings.from_conf(options.load([path]))


def test_overrides_come_in_one_line_and_in_several(tmp_path: Path) -> None:
    made = settings(
        tmp_path,
        "clean_step_priority_override = deploy.erase_devices:0,raid.delete_configuration:20",
        "clean_step_priority_override = bios.factory_reset:15",
    )
    assert made.clean_step_priorities == {
        "deploy.erase_devices": 0,
        "raid.delete_configuration": 20,
        "bios.factory_reset": 15,
    }
    assert settings(tmp_path).clean_step_priorities == {}


@pytest.mark.parametrize("told", ["erase_devices:1", "deploy.erase_devices:-1", "a.b:x", "a.b:²"])
def test_an_override_that_is_none_stops_the_start_and_is_named(tmp_path: Path, told: str) -> None:
    with pytest.raises(Invalid, match=r"clean_step_priority_override: .*(no step|whole number)"):
        settings(tmp_path, f"clean_step_priority_override = {told}")


def test_half_a_rescue_system_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="go together"):
        settings(tmp_path, "rescue_kernel = http://127.0.0.1/k")


def test_the_node_beats_the_override_beats_the_option_beats_the_offer() -> None:
    made = Settings(
        erase_devices_priority=1,
        erase_devices_metadata_priority=2,
        clean_step_priorities={"deploy.erase_devices_metadata": 3, "bios.reset": 4},
    )
    node = Node(uuid="n", driver_info={"step_priorities": {"bios.reset": 5}})
    offers = [
        StepSpec(interface, step, 9)
        for interface, step in (
            ("deploy", "erase_devices"),
            ("deploy", "erase_devices_metadata"),
            ("bios", "reset"),
            ("raid", "delete"),
        )
    ]
    given = priorities.given(made, node)
    assert [spec.priority for spec in priorities.applied(offers, given)] == [1, 3, 5, 9]
