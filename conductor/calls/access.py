"""What bus methods about a node share: finding it, holding it, working behind an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from conductor import guard, report
from conductor.drivers.registry import Driver
from conductor.flows import Runner
from conductor.task import Task
from conductor.toolbox import Toolbox
from conductor.workers import Workers
from drophammer import events, history, outage, purposes, states
from drophammer.errors import (
    Conflict,
    DrophammerError,
    HardwareError,
    Invalid,
    LeaseLost,
    NotFound,
    Unavailable,
    Unsupported,
)
from drophammer.model import Node
from drophammer.store import Lease

LOG = logging.getLogger(__name__)

Columns = dict[str, Any]
Work = Callable[[Node, Driver], Columns | None]


class NodeCalls:
    """Base of the parts of the endpoint. Node ids are the store's, not UUIDs."""

    def __init__(self, box: Toolbox, workers: Workers, runner: Runner) -> None:
        self._box = box
        self._workers = workers
        self._runner = runner

    def _driver(self, node_id: int) -> tuple[Node, Driver]:
        """A node as it is now, with its driver; nobody is kept from changing it."""
        with self._box.store.read() as session:
            node = session.get(Node, node_id)
            if node is None:
                raise NotFound("The node could not be found; it has been deleted meanwhile.")
            session.expunge(node)
        return node, Driver(self._box, node)

    @contextmanager
    def _held(self, node_id: int, purpose: str) -> Iterator[tuple[Node, Driver]]:
        """A node that is ours for the block. Raises NodeLocked."""
        lease, node = self._take(node_id, purpose)
        try:
            with guard.under(lease), explained(node, purpose):
                yield node, Driver(self._box, node)
        finally:
            self._give_back(lease, node, {})

    def _at_once(
        self, node_id: int, purpose: str, change: Callable[[Session, Node, Driver], Columns | None]
    ) -> None:
        """Change rows of a node that nobody else holds, in one transaction; no hardware.

        ``change`` returns columns of the node to write.
        """
        store = self._box.store
        with store.write() as session:
            lease, node = store.reserve_node(session, node_id, self._box.holder, purpose)
            values = change(session, node, Driver(self._box, node))
            store.release(session, lease, self._stamped(values))

    def _behind(
        self,
        node_id: int,
        purpose: str,
        work: Work,
        *,
        check: Callable[[Node, Driver], None],
    ) -> None:
        """Answer as soon as ``check`` has passed and the node is ours; then do ``work``.

        ``work`` returns the columns that changed with it. What goes wrong then is in
        the node's ``last_error``. Raises what ``check`` raises, NodeLocked or Unavailable.
        """
        self._workers.admit()
        lease, node = self._take(node_id, purpose, check)
        try:
            self._workers.submit(self._work_behind, lease, node, work)
        except Unavailable:
            # As long as this process lives it renews its leases: this one must not stay.
            self._give_back(lease, node, None)
            raise

    def _nudge(self, node_id: int) -> None:
        """The node's ramdisk may have something to say: see whether that brings its work on."""
        self._take_up(node_id, purposes.HEARTBEAT)

    def _take_up(self, node_id: int, purpose: str) -> None:
        """Visit the step that is due, unless nothing is, or the node is held."""
        self._runner.nudge(lambda: Task.resume(self._box, node_id, purpose, gently=True))

    def _take(
        self,
        node_id: int,
        purpose: str,
        check: Callable[[Node, Driver], None] | None = None,
    ) -> tuple[Lease, Node]:
        store = self._box.store
        with store.write() as session:
            lease, node = store.reserve_node(session, node_id, self._box.holder, purpose)
            if check is not None:
                check(node, Driver(self._box, node))
        return lease, node

    def _work_behind(self, lease: Lease, node: Node, work: Work) -> None:
        values: Columns | None = None
        try:
            # It may have been a while since the node was taken.
            with self._box.store.write() as session:
                self._box.store.update_leased(session, lease, {"lease_purpose": lease.purpose})
        except LeaseLost:
            self._give_back(lease, node, None)
            return
        except SQLAlchemyError as error:
            # Nothing has been done yet, and it has been promised.
            LOG.warning("node %s: %s waits for the database: %s", node.uuid, lease.purpose, error)
            seconds = self._box.settings.retry_seconds
            self._workers.later(seconds, self._work_behind, lease, node, work)
            return
        try:
            with guard.under(lease):
                values = work(node, Driver(self._box, node))
        except LeaseLost:
            pass  # Said where the node is given back.
        except DrophammerError as error:
            values = {"last_error": self._report(node, lease, error)}
        except Exception as error:
            outage.log(LOG, error, "node %s: %s failed unexpectedly", node.uuid, lease.purpose)
            text = report.unexpected(f"'{lease.purpose}'", error, f"node {node.uuid}")
            values = {"last_error": self._report(node, lease, text)}
        finally:
            self._give_back(lease, node, values)

    def _give_back(self, lease: Lease, node: Node, values: Columns | None) -> None:
        store = self._box.store
        try:
            with store.write() as session:
                store.release(session, lease, self._stamped(values))
                if values and "last_error" in values:
                    self._tell_error(session, node, lease.purpose, values["last_error"])
        except LeaseLost:
            LOG.warning("node %s: lost the lease for '%s'", node.uuid, lease.purpose)
        except SQLAlchemyError as error:
            # As long as this process lives it renews its leases: this one must not stay.
            outage.log(LOG, error, "node %s: could not be given back; trying again", node.uuid)
            seconds = self._box.settings.retry_seconds
            self._workers.later(seconds, self._give_back, lease, node, values)
            return
        if node.provision_state in states.WAITING:
            self._nudge(node.id)  # A heartbeat may have come while we held the node.

    def _report(self, node: Node, lease: Lease, error: str | DrophammerError) -> str:
        now = self._box.store.clock.now()
        passed = (now - (node.lease_since or now)).total_seconds()
        return report.call(node, lease.purpose, error, passed)

    def _tell_error(self, session: Session, node: Node, purpose: str, text: str) -> None:
        now = self._box.store.clock.now()
        events.record(
            session, node_id=node.id, at=now, source="conductor", kind="error", message=text
        )
        history.record(
            session,
            node_id=node.id,
            at=now,
            severity=history.ERROR,
            event_type=purpose[:32],
            event=text,
            conductor=self._box.settings.host,
            user=None,
            project=None,
            state=node.provision_state,
            target=node.target_provision_state,
            seconds=(now - (node.lease_since or now)).total_seconds(),
        )

    def _stamped(self, values: Columns | None) -> Columns:
        return {**values, "updated_at": self._box.store.clock.now()} if values else {}


@contextmanager
def explained(node: Node, purpose: str) -> Iterator[None]:
    """Errors of the block's hardware, and of what is said of it, name the node and what was tried.

    For calls whose caller waits; Unsupported names them itself.
    """
    try:
        yield
    except Unsupported:
        raise
    except (HardwareError, Invalid) as error:
        raise type(error)(report.refusal(node, purpose, error)) from error


def only_at_rest(node: Node, what: str) -> None:
    """Raise Conflict while work is under way that must not be disturbed."""
    if not states.is_resting(node.provision_state):
        raise Conflict(
            f"Node {node.uuid} is in state '{node.provision_state}'; {what} cannot change now. "
            "Wait for the operation that is under way, or abort it."
        )
