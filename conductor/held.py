"""A node under a lease, with its driver: what is known of it, and writing to it.

Every write names the lease's fence. Operations and the state machine are ``task.py``'s.
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from conductor import announce, metrics
from conductor.drivers.registry import Driver
from conductor.toolbox import Toolbox
from drophammer import boots, events
from drophammer.model import Agent, Inventory, Node, Port
from drophammer.store import Lease

LOG = logging.getLogger(__name__)


class HeldNode:
    """A node that nobody else changes as long as its lease lasts."""

    def __init__(self, box: Toolbox, lease: Lease, node: Node) -> None:
        self.box = box
        self.lease = lease
        self.node = node
        self.driver = Driver(box, node)
        self.beats = 0
        self._left = node.provision_state, node.target_provision_state

    # What is known

    def now(self) -> datetime.datetime:
        """The present moment by the store's clock."""
        return self.box.store.clock.now()

    def agent(self) -> Agent | None:
        """What the agent last told of itself. Also notes how often it has been heard."""
        with self.box.store.read() as session:
            agent = session.get(Agent, self.node.id)
        self.beats = agent.beats if agent is not None else 0
        return agent

    def inventory(self) -> Inventory | None:
        """What inspection found."""
        with self.box.store.read() as session:
            return session.get(Inventory, self.node.id)

    def in_ramdisk(self) -> bool:
        """Whether this node was made to boot our ramdisk, and not yet to leave it."""
        with self.box.store.read() as session:
            return boots.is_set(session, self.node.id)

    def ports(self) -> list[Port]:
        """The node's ports, by MAC."""
        with self.box.store.read() as session:
            query = select(Port).where(Port.node_id == self.node.id).order_by(Port.address)
            return list(session.scalars(query))

    # Writing

    def update(self, values: dict[str, Any], *, event: tuple[str, str] | None = None) -> None:
        """Write columns of the node, with (kind, message) as an event."""
        with self.box.store.write() as session:
            self.write(session, values)
            if event is not None:
                self.tell(session, *event)
        self.know(values)

    def write(self, session: Session, values: dict[str, Any]) -> None:
        """Write columns of the node within the caller's transaction, under the lease."""
        self.box.store.update_leased(session, self.lease, {**values, "updated_at": self.now()})

    def tell(
        self, session: Session, kind: str, message: str, data: dict[str, Any] | None = None
    ) -> None:
        """Add an event of this node within the caller's transaction."""
        events.record(
            session,
            node_id=self.node.id,
            at=self.now(),
            source="conductor",
            kind=kind,
            message=message,
            data=data,
        )

    def confirm(self) -> None:
        """Raise LeaseLost unless the node is still ours: asked right before hardware is told.

        Between this and the command a lease could still be lost; the gap is made of
        nothing but our own few instructions.
        """
        self.box.store.confirm(self.lease)

    def release(self) -> None:
        """Give the node back as it is."""
        with self.box.store.write() as session:
            self.box.store.release(session, self.lease)

    def know(self, values: dict[str, Any]) -> None:
        """Take over columns of the node that have been written."""
        self._left = self.node.provision_state, self.node.target_provision_state
        for name, value in values.items():
            setattr(self.node, name, value)

    def log(self, event: str) -> None:
        """One line, and a notification, for each change of state."""
        metrics.TRANSITIONS.labels(event).inc()
        LOG.info(
            "node %s: %s -> %s (%s)",
            self.node.uuid,
            self._left[0],
            self.node.provision_state,
            event,
        )
        announce.provision(self.box.store, self.node, event, *self._left)
