"""The steps of the operation that is under way on a node: which is due, how far it has got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from conductor.held import HeldNode
from conductor.toolbox import Toolbox
from conductor.transitions import shown
from drophammer import masking, operations
from drophammer.model import Node, Operation, Step
from drophammer.store import Lease
from drophammer.text import readable


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
        # Whether nobody has been at it before: it was begun with this.
        self.is_new = journal is not None

    @property
    def ending(self) -> bool:
        """Whether its steps are over, badly, and only the end is still to come."""
        return self.operation.state in operations.ENDING

    @property
    def over(self) -> bool:
        """Whether it has ended, and the node was given back."""
        return self.operation.state not in operations.UNFINISHED

    def step(self) -> Step | None:
        """The step that is due; of an operation that is ending, the one it ended at."""
        return self._at(self.operation.position)

    def last_position(self) -> int:
        """Where the last step that is planned stands; -1 when there is none."""
        return max((step.position for step in self._steps()), default=-1)

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

    def note_obstacle(self, step: Step, text: str) -> None:
        """Journal, and tell, what keeps a step from being done for now; once per text."""
        text = readable(masking.scrub(text, self.node.driver_info, self.node.instance_info))
        if step.error == text:
            return
        with self.box.store.write() as session:
            self.write(session, {})
            operations.set_step(session, step, {"error": text})
            self.tell(session, "step", f"{step.interface}.{step.step} is tried again: {text}")
        step.error = text

    def replan(self, step: Step, specs: list[operations.StepSpec]) -> None:
        """Let ``specs`` follow on ``step``, in place of what was planned."""
        with self.box.store.write() as session:
            self.write(session, {})
            operations.replan(session, self.operation.id, step.position, specs)
        self._journal = None

    def request_abort(self, by: str | None = None) -> None:
        """Journal that the operation is to end where it can; show it if that is not yet.

        ``by``: the user who asked for it.
        """
        step = self.step()
        values: dict[str, Any] = {}
        if step is not None and step.state == operations.RUNNING and not step.abortable:
            values = shown(self.node.provision_state, step)
            values = {column: {**about, "abort_after": True} for column, about in values.items()}
        with self.box.store.write() as session:
            self.write(session, values)
            request = {**self.operation.request, "aborted_by": by}
            operations.request_abort(session, self.operation.id, request)
        self.know(values)
        self.operation.request = request
        self.operation.abort_requested = True
