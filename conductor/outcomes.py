"""What a step may answer: done, visit me again, or wait for the ramdisk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Done:
    """The step is over; ``result`` goes into the journal."""

    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Again:
    """Visit the step again after ``seconds``. The node keeps its state and its holder."""

    seconds: float


@dataclass(frozen=True)
class Wait:
    """Only a message from the ramdisk brings this on: the node is given back until one comes."""


Outcome = Done | Again | Wait
