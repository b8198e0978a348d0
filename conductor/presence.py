"""That this conductor lives, as the others see it: its row, its leases, its predecessors.

Who works on what is not decided here.
"""

from __future__ import annotations

import logging
import time

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from conductor.toolbox import Toolbox
from conductor.transitions import deadline
from drophammer import conductors, outage, states
from drophammer.model import Node
from drophammer.processes import Process

LOG = logging.getLogger(__name__)


class Presence:
    """One process life in the table of conductors."""

    def __init__(self, box: Toolbox) -> None:
        self._box = box
        self._process = Process.own()
        self._seen = time.monotonic()
        # Leases ran out, and that is not yet written.
        self._late = False

    def enter(self) -> None:
        """Register. What a process held that is surely gone from this machine may be taken up.

        The leases of those that cannot be seen from here run out by themselves.
        """
        store = self._box.store
        with store.write() as session:
            self._put_off_deadlines(session)
            gone = conductors.whose_process_is_gone(session, self._process)
            conductors.leave(session, *gone)
            store.expire_all(session, gone)
            self._register(session)
            conductors.forget_old(session, store.clock.now())

    def beat(self) -> None:
        """Show that this conductor lives and push out the leases it holds."""
        store, holder = self._box.store, self._box.holder
        self._late = holder.tenure.lapsed() or self._late
        with holder.tenure.renewal(store.lease_seconds) as renewed, store.write() as session:
            if not conductors.beat(session, holder.uuid, store.clock.now()):
                LOG.warning("this conductor was silent for so long that it had been forgotten")
                self._register(session)
            if self._late:
                # Our own threads no longer touch what they had: whoever is free takes it up.
                LOG.error("the leases of this conductor ran out: it stood still for too long")
                store.release_all(session, holder)
            else:
                renewed |= store.renew_all(session, holder)
        self._late = False
        self._seen = time.monotonic()

    def trouble(self) -> str:
        """Why others take this conductor for dead; empty while they do not."""
        silence = time.monotonic() - self._seen
        if silence <= self._box.store.lease_seconds:
            return ""
        return f"the last beat of this conductor is {silence:.0f} s old"

    def leave(self) -> None:
        """Give everything back, for whoever goes on. Without a database it is found later."""
        store, holder = self._box.store, self._box.holder
        try:
            with store.write() as session:
                store.release_all(session, holder)
                conductors.leave(session, holder.uuid)
        except SQLAlchemyError as error:
            outage.log(LOG, error, "what this conductor holds is not given back; it runs out")

    def _register(self, session: Session) -> None:
        settings, holder = self._box.settings, self._box.holder
        conductors.register(
            session,
            uuid=holder.uuid,
            hostname=settings.host,
            group=settings.conductor_group,
            hardware_types=self._box.drivers.describe(settings.default_interfaces),
            now=self._box.store.clock.now(),
            process=self._process,
        )

    def _put_off_deadlines(self, session: Session) -> None:
        """Give the work that an outage interrupted the time that it lost by it.

        While no conductor ran, nobody could do or hear anything: a deadline that passed
        meanwhile says nothing about the machine.
        """
        store = self._box.store
        now, seen = store.clock.now(), conductors.last_seen(session)
        if seen is not None and (now - seen).total_seconds() <= store.lease_seconds:
            return
        for state in states.WORKING | states.WAITING:
            session.execute(
                update(Node)
                .where(Node.deadline < now, Node.provision_state == state)
                .values(deadline=deadline(self._box.settings, state, now))
                .execution_options(synchronize_session=False)
            )
