"""What has changed between two states of a row, by the rules of JSON.

Python takes 1, 1.0 and True for the same value; whoever writes one of them in place of
another means it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Those values of ``after`` that are not what ``before`` has under the same name."""
    return {name: value for name, value in after.items() if not same(value, before[name])}


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, types included. The order of keys is no matter."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
