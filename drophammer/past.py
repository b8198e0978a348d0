"""What earlier operations on a node tell of the next one: how long things took, and which
steps its ramdisk brought along. Read from the journal of the last of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drophammer import operations
from drophammer.model import Operation, Step

# How many operations are looked at, the last ones.
LAST = 50
AGENT = "agent"


@dataclass(frozen=True)
class Spent:
    """How long something took, in seconds: the last time, on average, how often."""

    last: float | None = None
    mean: float | None = None
    runs: int = 0


class Past:
    """The last finished operations of one node, newest first, with their steps."""

    def __init__(self, ended: Sequence[Any], steps: Sequence[Any]) -> None:
        self._ended = ended
        order = {operation.id: number for number, operation in enumerate(ended)}
        self._steps = sorted(steps, key=lambda step: order[step.operation_id])
        self._flow = {operation.id: operation.flow for operation in ended}

    @classmethod
    def of_node(cls, session: Session, node_id: int) -> Past:
        """Two statements."""
        ended = session.execute(
            select(
                Operation.id,
                Operation.flow,
                Operation.state,
                Operation.created_at,
                Operation.finished_at,
            )
            .where(Operation.node_id == node_id, Operation.finished_at.is_not(None))
            .order_by(Operation.id.desc())
            .limit(LAST)
        ).all()
        steps = session.execute(
            select(
                Step.operation_id,
                Step.position,
                Step.interface,
                Step.step,
                Step.priority,
                Step.source,
                Step.abortable,
                Step.state,
                Step.started_at,
                Step.finished_at,
            )
            .where(Step.operation_id.in_([operation.id for operation in ended]))
            .order_by(Step.operation_id.desc(), Step.position)
        ).all()
        return cls(ended, steps)

    def of_flow(self, flow: str) -> Spent:
        """How long such operations took that went well."""
        return _spent(
            (operation.created_at, operation.finished_at)
            for operation in self._ended
            if operation.flow == flow and operation.state == operations.DONE
        )

    def of_step(self, interface: str, step: str) -> Spent:
        """How long such steps took that went well, in whichever operation."""
        return _spent(
            (row.started_at, row.finished_at)
            for row in self._steps
            if (row.interface, row.step, row.state) == (interface, step, operations.DONE)
        )

    def agent_steps(self, flows: Collection[str]) -> list[operations.StepSpec]:
        """What the ramdisk brought along the last time that it did so in one of ``flows``."""
        found = [
            row
            for row in self._steps
            if row.source == AGENT
            and row.interface != "conductor"
            and self._flow[row.operation_id] in flows
        ]
        return [
            operations.StepSpec(
                row.interface, row.step, row.priority, AGENT, abortable=row.abortable
            )
            for row in found
            if row.operation_id == found[0].operation_id
        ]


def _spent(times: Any) -> Spent:
    seconds = [_seconds(*pair) for pair in times if None not in pair]
    if not seconds:
        return Spent()
    return Spent(seconds[0], round(sum(seconds) / len(seconds), 3), len(seconds))


def _seconds(began: datetime.datetime, ended: datetime.datetime) -> float:
    return round(max(0.0, (ended - began).total_seconds()), 3)
