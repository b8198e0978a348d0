"""Faults that fake hardware is told to have: ``[fake] <kind>_fault``, or a node's own.

Only the grammar: ``[PROBABILITY] [ERROR:] [TEXT]``, for instance ``0.1``,
``no answer`` or ``0.5 BmcUnreachable: no answer``.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from drophammer import errors
from drophammer.errors import HardwareError, Invalid

_TEXT = "it was told to fail"


@dataclass(frozen=True)
class Fault:
    """How often something fails, as what, and what the hardware is made to say."""

    probability: float
    error: type[HardwareError]
    text: str

    def strike(self, node_uuid: str, kind: str) -> None:
        """Raise the error, as often as ``probability`` says."""
        if random.random() < self.probability:
            raise self.error(f"Node {node_uuid}: the fake {kind} interface failed: {self.text}.")


def parse(told: object, source: str) -> Fault | None:
    """The fault that ``told`` describes; None for nothing. Raises Invalid naming ``source``."""
    if told is None or told == "":
        return None
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        raise Invalid(f"{source}: {told!r} is neither a probability nor a text.")
    probability, rest = _probability(str(told).strip(), source)
    name, colon, text = rest.partition(":")
    error = errors.by_name().get(name)
    if not colon or error is None or not issubclass(error, HardwareError):
        error, text = HardwareError, rest
    return Fault(probability, error, text.strip().rstrip(".") or _TEXT)


def _probability(text: str, source: str) -> tuple[float, str]:
    first, _, rest = text.partition(" ")
    try:
        probability = float(first)
    except ValueError:
        return 1.0, text
    if math.isnan(probability) or not 0 <= probability <= 1:
        raise Invalid(f"{source}: the probability {first} is not between 0 and 1.")
    return probability, rest.strip()
