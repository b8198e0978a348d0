"""The steps of the operation that is under way on a node: which is due, how far it has got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from conductor.held import HeldNode
from conductor.toolbox import Toolbox
from drophammer import operations
from drophammer.model import Node, Operation, Step
from drophammer.store import Lease


class Journal(HeldNode):
    """A held node with its operation."""

    def __init__(
        self,
        box: Toolbox,
        lease: Lease,
        node: Node,
        operation: Operation,
        journal: Sequence[Step] | None = None,
    ) -> None:
        super().__init__(box, lease, node)
        self.operation = operation
        # The operation's steps; None: to be read. Nobody else writes them while we hold the node.
        self._journal = journal

    def step(self) -> Step | None:
        """The step that is due."""
        return self._at(self.operation.position)

    def steps_behind(self, step: Step) -> list[Step]:
        """What is planned behind ``step``, in order."""
        return [other for other in self._steps() if other.position > step.position]

    def _at(self, position: int) -> Step | None:
        return next((step for step in self._steps() if step.position == position), None)

    def _steps(self) -> Sequence[Step]:
        if self._journal is None:
            with self.box.store.read() as session:
                self._journal = operations.steps_of(session, [self.operation.id])
        return self._journal

    def note(self, step: Step, **cursor: Any) -> None:
        """Journal how far a step has got; it finds this in ``step.cursor`` when visited again."""
        with self.box.store.write() as session:
            self.write(session, {})
            self.journal_note(session, step, **cursor)

    def journal_note(self, session: Session, step: Step, **cursor: Any) -> None:
        """The same within the caller's transaction, together with what it is about."""
        step.cursor = {**step.cursor, **cursor}
        operations.set_step(session, step, {"cursor": step.cursor})

    def replan(self, step: Step, specs: list[operations.StepSpec]) -> None:
        """Let ``specs`` follow on ``step``, in place of what was planned."""
        with self.box.store.write() as session:
            self.write(session, {})
            operations.replan(session, self.operation.id, step.position, specs)
        self._journal = None

    def request_abort(self) -> None:
        """Journal that the operation is to end where it can."""
        with self.box.store.write() as session:
            self.write(session, {})
            operations.request_abort(session, self.operation.id)
        self.operation.abort_requested = True
