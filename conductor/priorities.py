"""Which priority a step of automated cleaning has: what node and configuration say of it.

The node's word counts most, then ``[conductor] clean_step_priority_override``, then the
``[deploy] erase_devices*_priority`` options, then whoever offers the step. 0 leaves a
step out. Lists that an operator gives know no priorities.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drophammer.errors import Invalid
from drophammer.model import Node
from drophammer.operations import StepSpec

if TYPE_CHECKING:
    from conductor.settings import Settings

NODE_KEY = "step_priorities"
PROPERTIES = {
    NODE_KEY: 'Priorities of steps in automated cleaning of this node, as an object like {"deploy.'
    'erase_devices": 0, "raid.delete_configuration": 20}; 0 leaves a step out. They beat '
    "[conductor] clean_step_priority_override and [deploy] erase_devices_priority.",
}
HIGHEST = 10**6 - 1
_STEP = re.compile(r"[a-z]+\.[A-Za-z0-9_.-]{1,200}")

Priorities = Mapping[str, int]


def parse(told: Mapping[str, Any], source: str) -> dict[str, int]:
    """Priorities by "interface.step". Raises Invalid naming ``source`` and the entry."""
    return {name: _one(name, value, source) for name, value in told.items()}


def given(settings: Settings, node: Node) -> Priorities:
    """What configuration and node say. Raises Invalid when the node's word is none."""
    told = node.driver_info.get(NODE_KEY)
    where = f"Node {node.uuid}: driver_info {NODE_KEY}"
    if told is not None and not isinstance(told, dict):
        raise Invalid(f'{where} is not an object like {{"deploy.erase_devices": 0}}.')
    return {**_options(settings), **settings.clean_step_priorities, **parse(told or {}, where)}


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


def _one(name: str, value: object, source: str) -> int:
    if not _STEP.fullmatch(name):
        raise Invalid(f"{source}: {name[:80]!r} is no step, like deploy.erase_devices.")
    # Configuration files hold texts.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST:
        raise Invalid(
            f"{source}: the priority of {name} is {str(value)[:40]!r}, not a whole number from 0 "
            f"to {HIGHEST}."
        )
    return value
