"""Which priority a step of automated cleaning has: what node and configuration say of it.

The node's word counts most, then ``[conductor] clean_step_priority_override``, then the
``[deploy] erase_devices*_priority`` options, then whoever offers the step. 0 leaves a
step out. Lists that an operator gives know no priorities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from drophammer.model import Node
from drophammer.operations import StepSpec
from drophammer.steppriorities import NODE_KEY, of_node

if TYPE_CHECKING:
    from conductor.settings import Settings

PROPERTIES = {
    NODE_KEY: 'Priorities of steps in automated cleaning of this node, as an object like {"deploy.'
    'erase_devices": 0, "raid.delete_configuration": 20}; 0 leaves a step out. They beat '
    "[conductor] clean_step_priority_override and [deploy] erase_devices_priority.",
}
Priorities = Mapping[str, int]


def given(settings: Settings, node: Node) -> Priorities:
    """What configuration and node say. Raises Invalid when the node's word is none."""
    own = of_node(node.driver_info, f"Node {node.uuid}: driver_info {NODE_KEY}")
    return {**_options(settings), **settings.clean_step_priorities, **own}


def applied(offers: Iterable[StepSpec], given: Priorities) -> list[StepSpec]:
    """The offers with the priorities that were given to them."""
    return [
        replace(spec, priority=given.get(f"{spec.interface}.{spec.step}", spec.priority))
        for spec in offers
    ]


def _options(settings: Settings) -> dict[str, int]:
    options = {
        "deploy.erase_devices": settings.erase_devices_priority,
        "deploy.erase_devices_metadata": settings.erase_devices_metadata_priority,
    }
    return {name: value for name, value in options.items() if value is not None}
