"""Priorities of cleaning steps by "interface.step", as nodes and configuration files name them.

Only which are taken; whose word counts is the conductor's affair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from drophammer.errors import Invalid

NODE_KEY = "step_priorities"
HIGHEST = 10**6 - 1
_STEP = re.compile(r"[a-z]+\.[A-Za-z0-9_.-]{1,200}")


def parse(told: Mapping[str, Any], source: str) -> dict[str, int]:
    """Priorities by "interface.step". Raises Invalid naming ``source`` and the entry."""
    return {name: _one(name, value, source) for name, value in told.items()}


def of_node(driver_info: Mapping[str, Any], source: str) -> dict[str, int]:
    """The priorities that a node gives. Raises Invalid naming ``source``."""
    told = driver_info.get(NODE_KEY)
    if told is not None and not isinstance(told, dict):
        raise Invalid(f'{source} is not an object like {{"deploy.erase_devices": 0}}.')
    return parse(told or {}, source)


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
