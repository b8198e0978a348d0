"""What a step may answer: done, visit me again, wait for the ramdisk, hold for the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Done:
    """The step is over; ``result`` goes into the journal, and ``event`` takes the node along.

    What came of it is written in the transaction that journals it as done: ``values`` are
    columns of the node, ``along`` writes other rows.
    """

    result: dict[str, Any] = field(default_factory=dict)
    event: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    along: Callable[[Session], None] | None = None


@dataclass(frozen=True)
class Again:
    """Visit the step again after ``seconds``. The node keeps its state and its holder."""

    seconds: float


@dataclass(frozen=True)
class Wait:
    """Only a message from the ramdisk brings this on: the node is given back until one comes."""


@dataclass(frozen=True)
class Hold:
    """Only the operator brings this on: the node is given back until ``unhold``."""


Outcome = Done | Again | Wait | Hold
