"""What there is to do for this conductor and for all: asked when somebody wants to know."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Executable, func, select
from sqlalchemy.exc import SQLAlchemyError

from conductor.toolbox import Toolbox
from conductor.workers import Workers
from drophammer import operations
from drophammer.metrics import Asked
from drophammer.model import Node, Operation

LOG = logging.getLogger(__name__)

JOBS = Asked("drophammer_conductor_jobs", "Work in this process, by where it is.", "place")
LEASES = Asked("drophammer_conductor_leases", "Nodes that this conductor holds.")
OPERATIONS = Asked(
    "drophammer_operations", "Operations that have not ended, in the whole database.", "state"
)


class Figures:
    """Answers for one conductor. While the database is away, what is in it is left out."""

    def __init__(self, box: Toolbox, workers: Workers) -> None:
        self._box = box
        self._workers = workers

    def start(self) -> None:
        """Answer from now on."""
        JOBS.answer(self._jobs)
        LEASES.answer(self._leases)
        OPERATIONS.answer(self._operations)

    def stop(self) -> None:
        """Answer no more."""
        JOBS.forget(self._jobs)
        LEASES.forget(self._leases)
        OPERATIONS.forget(self._operations)

    def _jobs(self) -> list[tuple[str, float]]:
        return list(self._workers.depths().items())

    def _leases(self) -> list[tuple[str, float]]:
        holder = self._box.holder.uuid
        found = self._rows(select(func.count()).where(Node.lease_owner == holder))
        return [("", row[0]) for row in found or ()]

    def _operations(self) -> list[tuple[str, float]]:
        found = self._rows(
            select(Operation.state, func.count())
            .where(Operation.state.in_(operations.UNFINISHED))
            .group_by(Operation.state)
        )
        if found is None:
            return []
        counts = dict.fromkeys(operations.UNFINISHED, 0) | dict(found)
        return list(counts.items())

    def _rows(self, query: Executable) -> list[Any] | None:
        try:
            with self._box.store.ask() as connection:
                return list(connection.execute(query).all())
        except SQLAlchemyError as error:
            LOG.warning("the database does not tell what there is to do: %s", type(error).__name__)
            return None
