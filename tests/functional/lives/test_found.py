"""What ``test_machine.py`` has found, each as the shortest story that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.functional.lives.laws import Laws
from tests.functional.lives.life import Life
from tests.functional.lives.world import Fate, Stage, World

Story = tuple[World, Laws, Callable[..., int]]


@pytest.fixture
def story(stage: Stage) -> Story:
    world = World(stage)
    laws = Laws(world)

    def node(state: str, *, ramdisk: bool = False, **fields: Any) -> int:
        node_id = world.add_node(state, ramdisk=ramdisk, **fields)
        laws.begins(node_id, state)
        return node_id

    return world, laws, node


def test_a_late_beat_that_failed_still_gives_back_with_the_next_one_what_was_lost(
    story: Story,
) -> None:
    world, laws, node = story
    node_id = node("active")
    life = Life(world)
    world.clock.advance(3600)
    world.call("conductor", "power", node_id=node_id, target="power on")
    life.fate = Fate("database", 4)
    life.beat()
    life.run_all()
    assert world.node(node_id).operation_id is not None
    life.beat()
    life.sweep()
    life.run_all()
    laws.check()
    assert world.node(node_id).power_state == "power on"
