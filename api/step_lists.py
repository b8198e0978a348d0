"""Lists of steps that are kept for later, in deploy templates and runbooks: what may be in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from api.fields import OBJECT, TEXT, closed
from drophammer.errors import Invalid

INTERFACES = ("vendor", "power", "management", "firmware", "deploy", "bios", "raid")
# The conductor's own, which make sense more than once.
REPEATABLE = frozenset({"power_on", "power_off", "reboot", "hold", "wait"})
_PLACE: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}


def schema(place: str, required: tuple[str, ...]) -> dict[str, Any]:
    """The schema of a list of at least one step; ``place`` is what gives their order."""
    step = closed(
        {"interface": {"enum": list(INTERFACES)}, "step": TEXT, "args": OBJECT, place: _PLACE},
        required,
    )
    return {"type": "array", "items": step, "minItems": 1}


def check_unique(steps: Iterable[Mapping[str, Any]]) -> None:
    """Raise Invalid when a step is in the list twice."""
    counts = Counter((step["interface"], step["step"]) for step in steps)
    twice = [
        f"{interface}.{step[:80]}"
        for (interface, step), count in counts.items()
        if count > 1 and step not in REPEATABLE
    ]
    if twice:
        raise Invalid(f"Duplicate steps: {', '.join(twice[:20])}; each step can be there once.")
