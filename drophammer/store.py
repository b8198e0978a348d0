"""Transactions and leases: the only file that knows how locks work.

A transaction is never held across I/O to anything but the database. ``write()``
takes sqlite's write lock at once (BEGIN IMMEDIATE): a transaction that reads
first and writes later could otherwise fail with "database is locked".
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Update,
    and_,
    bindparam,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from drophammer import direct, engines, portable, prepared, schema
from drophammer.asking import asker
from drophammer.clock import Clock, DatabaseClock, SystemClock
from drophammer.errors import LeaseLost, NodeLocked, NotFound
from drophammer.model import Node
from drophammer.tenure import Key, Moment, Tenure
from drophammer.turns import Turns

_FREE: dict[str, Any] = dict.fromkeys(
    ("lease_owner", "lease_host", "lease_purpose", "lease_since", "lease_expires")
)
LEASE = (
    Node.lease_owner,
    Node.lease_host,
    Node.lease_purpose,
    Node.lease_since,
    Node.lease_expires,
    Node.fence,
)
CLEAN_UP_SECONDS = 300
_TAKEN = "leases taken"
# For what is written all the time: statements on the class go through the ORM.
_NODES: Any = Node.__table__
_FENCE = (_NODES.c.id, _NODES.c.fence)
_WHOLE = tuple(_NODES.c)

# What a query that only reads may be run on.
Reader = Session | Connection


@dataclass(frozen=True)
class Holder:
    """Who takes leases: one process life. ``uuid`` is new at each start, ``host`` is for people."""

    uuid: str
    host: str
    tenure: Tenure = field(default_factory=Tenure, compare=False, repr=False)


@dataclass(frozen=True)
class Lease:
    """The right to write to one node. ``fence`` must be matched by every write under it.

    ``moment`` and ``seconds``: when it was taken and for how long, by this process's clock.
    A ``fence`` of 0 is no lease, but a look at a node that nobody holds.
    """

    node_id: int
    holder: Holder
    purpose: str
    fence: int
    moment: Moment
    seconds: float

    def left(self) -> float:
        """Seconds for which this is surely still ours; raises LeaseLost when it may not be."""
        left = self.holder.tenure.left(self.moment, self.seconds, self.key if self.fence else None)
        if left <= 0:
            raise LeaseLost(
                f"The lease for '{self.purpose}' was taken from this process, or it stood still "
                "for longer than that lasts; whoever holds the node now goes on with the work."
            )
        return left

    @property
    def key(self) -> Key:
        """What tells it from all other leases there ever were."""
        return self.node_id, self.fence


class Store:
    """The database of one deployment. Safe to share between threads."""

    def __init__(self, url: str, *, clock: Clock | None = None, lease_seconds: float = 60) -> None:
        self.lease_seconds = lease_seconds
        self._url = url
        self.engine = engines.engine(url)
        self.clock: Clock = clock or self._own_clock()
        self._writer = self.engine.execution_options(drophammer_begin="BEGIN IMMEDIATE")
        self._asker = asker(self.engine)
        self._turns = Turns(self.engine)

    def _own_clock(self) -> Clock:
        if self.engine.dialect.name == "sqlite":
            return SystemClock()  # All who share the file share the machine.
        return DatabaseClock(self._database_time)

    def _database_time(self) -> datetime.datetime:
        """What the server's clock says. A connection of its own: ours may be in a transaction."""
        mariadb = self.engine.dialect.name == "mariadb"
        text = "utc_timestamp(6)" if mariadb else "clock_timestamp() AT TIME ZONE 'UTC'"
        with self.ask() as connection:
            moment = connection.exec_driver_sql(f"SELECT {text}").scalar_one()
        return cast(datetime.datetime, moment).replace(tzinfo=datetime.UTC)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """To look at several things. Takes no lock that a writer would wait for.

        On sqlite all is as it was at the first look; on a server each statement finds what
        is committed by then.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def ask(self) -> AbstractContextManager[Connection]:
        """For statements that need not agree with each other: plain rows, no transaction.

        Several times cheaper than ``read`` where one question is all there is.
        """
        return self._asker.ask()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, or leaves nothing behind."""
        with self._turns.take(), Session(self._writer, expire_on_commit=False) as session:
            try:
                with session.begin():
                    yield session
            finally:
                # After an error too: the answer to the COMMIT may be all that was lost.
                for lease in session.info.get(_TAKEN, ()):
                    lease.holder.tenure.settled(lease.key)

    def migrate(self) -> None:
        """Bring the schema to this version's. Running it again does nothing."""
        schema.migrate(self._url)

    def close(self) -> None:
        """Give back all connections."""
        self._asker.close()
        self.engine.dispose()

    # Leases

    def reserve(self, session: Session, node_id: int, holder: Holder, purpose: str) -> Lease:
        """Take the node for ``holder``, in the caller's transaction.

        A lease that ran out counts as free; its holder finds out by the fence.
        Raises NodeLocked, naming holder and purpose, or NotFound.
        """
        moment = holder.tenure.taken()
        taken = self._take(session, node_id, holder, purpose, _FENCE)
        return self._leased(session, node_id, holder, purpose, taken["fence"], moment)

    def reserve_node(
        self,
        session: Session,
        node_id: int,
        holder: Holder,
        purpose: str,
        *,
        takes: ColumnElement[bool] | None = None,
    ) -> tuple[Lease, Node]:
        """The same, and the node as it is now, in one statement.

        The node is not in the session: only what is written by name is written. A node for
        which ``takes`` is true is taken from whoever holds it.
        """
        moment = holder.tenure.taken()
        node = Node()
        # Given to it, SQLAlchemy would be told of each of seventy values.
        vars(node).update(self._take(session, node_id, holder, purpose, _WHOLE, takes))
        return self._leased(session, node_id, holder, purpose, node.fence, moment), node

    def _leased(
        self,
        session: Session,
        node_id: int,
        holder: Holder,
        purpose: str,
        fence: int,
        moment: Moment,
    ) -> Lease:
        lease = Lease(node_id, holder, purpose, fence, moment, self.lease_seconds)
        session.info.setdefault(_TAKEN, []).append(lease)
        return lease

    def _take(
        self,
        session: Session,
        node_id: int,
        holder: Holder,
        purpose: str,
        wanted: tuple[Column[Any], ...],
        takes: ColumnElement[bool] | None = None,
    ) -> direct.Row:
        now = self.clock.now()
        told = {
            "its_row": node_id,
            "its_now": now,
            "its_owner": holder.uuid,
            "its_host": holder.host,
            "its_purpose": purpose,
            "its_expires": now + datetime.timedelta(seconds=self.lease_seconds),
        }
        taken = portable.update_one(session, _taking(takes), wanted, told)
        if taken is None:
            raise self._locked(session, node_id)
        return taken

    def seize(
        self, session: Session, node_id: int, holder: Holder, purpose: str
    ) -> tuple[Lease, Node] | None:
        """Take the node whoever holds it, if it is past its deadline; None when it is not.

        Its former holder writes nothing more. The deadline is put off, so that whoever
        looks next leaves the new holder the time to clean up.
        """
        now = self.clock.now()
        overdue = portable.changed(
            session,
            update(Node)
            .where(Node.id == node_id, Node.deadline < now)
            .values(lease_owner=None, deadline=now + datetime.timedelta(seconds=CLEAN_UP_SECONDS)),
        )
        return self.reserve_node(session, node_id, holder, purpose) if overdue else None

    def renew_all(self, session: Session, holder: Holder) -> set[Key]:
        """Push out the expiry of every lease that ``holder`` has and that has not run out.

        Returns those that it has. One that has run out stays so: its holder may not know
        that anybody could have had the node meanwhile.
        """
        now = self.clock.now()
        expires = now + datetime.timedelta(seconds=self.lease_seconds)
        statement = update(_NODES).values(lease_expires=expires)
        own = and_(_NODES.c.lease_owner == holder.uuid, _NODES.c.lease_expires >= now)
        return set(portable.update_all(session, statement, own, (_NODES.c.id, _NODES.c.fence)))

    def release_all(self, session: Session, holder: Holder) -> None:
        """Give back every node that ``holder`` has; what it was doing there may be taken up."""
        session.execute(
            update(Node)
            .where(Node.lease_owner == holder.uuid)
            .values(**_FREE)
            .execution_options(synchronize_session=False)
        )

    def expire_all(self, session: Session, owners: Collection[str]) -> None:
        """Let run out what processes hold that are known to be gone, by their UUIDs."""
        session.execute(
            update(Node)
            .where(Node.lease_owner.in_(owners))
            .values(lease_expires=self.clock.now() - datetime.timedelta(seconds=1))
            .execution_options(synchronize_session=False)
        )

    def release(self, session: Session, lease: Lease, values: dict[str, Any] | None = None) -> None:
        """Give the node back and write ``values`` with it, in the caller's transaction."""
        self.update_leased(session, lease, {**_FREE, **(values or {})})

    def update_leased(self, session: Session, lease: Lease, values: dict[str, Any]) -> None:
        """Write columns of the node if, and only if, ``lease`` still holds. Else LeaseLost."""
        which = {"id": lease.node_id, "fence": lease.fence, "lease_owner": lease.holder.uuid}
        if not prepared.write(session, _NODES, which, values):
            raise _lost(lease)

    def confirm(self, lease: Lease) -> None:
        """Raise LeaseLost unless ``lease`` still holds. Waits for whoever is at the node's row.

        One statement on its own, which costs a third of a transaction of one.
        """
        told = {"its_node": lease.node_id, "its_fence": lease.fence, "its_owner": lease.holder.uuid}
        with self.ask() as connection:
            held_still = direct.changed(connection, _CONFIRMING, told) > 0
        if not held_still:
            raise _lost(lease)

    def break_lease(self, session: Session, node_id: int) -> dict[str, Any] | None:
        """Take the node from whoever holds it, in the caller's transaction.

        Returns the lease as it was, as its columns; None when there was none to break. Its
        former holder writes nothing more: the fence has moved.
        """
        query = select(*LEASE).where(Node.id == node_id).with_for_update()
        found = session.execute(query).mappings().one_or_none()
        former = {} if found is None else {str(name): value for name, value in found.items()}
        if not former or not held(former, self.clock.now()):
            return None
        session.execute(
            update(Node)
            .where(Node.id == node_id)
            .values(**_FREE, fence=Node.fence + 1)
            .execution_options(synchronize_session=False)
        )
        return former

    def _locked(self, session: Session, node_id: int) -> NodeLocked | NotFound:
        row = session.execute(
            select(Node.uuid, Node.lease_host, Node.lease_purpose, Node.lease_since).where(
                Node.id == node_id
            )
        ).one_or_none()
        if row is None:
            return NotFound("The node could not be found; it has been deleted meanwhile.")
        return NodeLocked(
            locked_message(row.uuid, row.lease_host, row.lease_purpose, row.lease_since)
        )


# It changes nothing; but unlike a SELECT it sees what somebody is about to commit.
_CONFIRMING = (
    update(_NODES)
    .where(
        _NODES.c.id == bindparam("its_node"),
        _NODES.c.fence == bindparam("its_fence"),
        _NODES.c.lease_owner == bindparam("its_owner"),
    )
    .values(lease_purpose=_NODES.c.lease_purpose)
)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"The lease for '{lease.purpose}' on this node has ended or was taken over; "
        "its new holder goes on with the work."
    )


@lru_cache(maxsize=8)
def _taking(takes: ColumnElement[bool] | None) -> Update:
    columns = _NODES.c
    free = or_(columns.lease_owner.is_(None), columns.lease_expires < bindparam("its_now"))
    return (
        update(_NODES)
        .where(columns.id == bindparam("its_row"), free if takes is None else or_(free, takes))
        .values(
            lease_owner=bindparam("its_owner"),
            lease_host=bindparam("its_host"),
            lease_purpose=bindparam("its_purpose"),
            lease_since=bindparam("its_now"),
            lease_expires=bindparam("its_expires"),
            fence=columns.fence + 1,
        )
    )


def held(row: Mapping[str, Any], now: datetime.datetime) -> bool:
    """Whether somebody holds the node of ``row``, which has its lease columns."""
    expires = row["lease_expires"]
    return row["lease_owner"] is not None and expires is not None and expires >= now


def locked_message(
    node_uuid: str,
    host: str | None,
    purpose: str | None,
    since: datetime.datetime | None = None,
) -> str:
    """The text of a 409 on a reserved node. Clients match on its first half."""
    when = f", since {since:%H:%M:%S} UTC" if since is not None else ""
    return (
        f"Node {node_uuid} is locked by host {host or 'unknown'}, please retry after the current "
        f"operation is completed. (It is held for: {purpose or 'unknown'}{when}.)"
    )
