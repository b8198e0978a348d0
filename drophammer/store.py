"""Engine, transactions and leases: the only file that knows how locks work and
what sqlite and PostgreSQL do differently.

A transaction is never held across I/O to anything but the database. ``write()``
takes sqlite's write lock at once (BEGIN IMMEDIATE): a transaction that reads
first and writes later could otherwise fail with "database is locked".
"""

from __future__ import annotations

import datetime
import json
import pathlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from alembic import command as alembic_command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, create_engine, event, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from drophammer.asking import Asker
from drophammer.clock import Clock, SystemClock
from drophammer.errors import LeaseLost, NodeLocked, NotFound
from drophammer.model import Node

_FREE: dict[str, Any] = dict.fromkeys(
    ("lease_owner", "lease_host", "lease_purpose", "lease_since", "lease_expires")
)
MIGRATIONS = pathlib.Path(__file__).with_name("migrations")
SQLITE_BUSY_SECONDS = 30
CLEAN_UP_SECONDS = 300
# A transaction is short, but every worker, bus and API thread may be in one.
POOL_SIZE, POOL_OVERFLOW = 16, 112
# On sqlite threads keep connections besides, as many as there are threads of the API.
KEPT = 32

# What a query that only reads may be run on.
Reader = Session | Connection


@dataclass(frozen=True)
class Holder:
    """Who takes leases: one process life. ``uuid`` is new at each start, ``host`` is for people."""

    uuid: str
    host: str


@dataclass(frozen=True)
class Lease:
    """The right to write to one node. ``fence`` must be matched by every write under it."""

    node_id: int
    holder: Holder
    purpose: str
    fence: int


class Store:
    """The database of one deployment. Safe to share between threads."""

    def __init__(self, url: str, *, clock: Clock | None = None, lease_seconds: float = 60) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lease_seconds = lease_seconds
        self.engine = _engine(url)
        self._writer = self.engine.execution_options(drophammer_begin="BEGIN IMMEDIATE")
        self._asker = Asker(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view. Takes no lock that a writer would wait for."""
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
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema to this version's. Running it again does nothing."""
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._writer.connect() as connection:
            config.attributes["connection"] = connection
            alembic_command.upgrade(config, "head")
            connection.commit()

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
        fence = self._take(session, node_id, holder, purpose, Node.fence)
        return Lease(node_id, holder, purpose, fence)

    def reserve_node(
        self, session: Session, node_id: int, holder: Holder, purpose: str
    ) -> tuple[Lease, Node]:
        """The same, and the node as it is now, in one statement."""
        node = self._take(session, node_id, holder, purpose, Node)
        return Lease(node_id, holder, purpose, node.fence), node

    def _take(
        self, session: Session, node_id: int, holder: Holder, purpose: str, wanted: Any
    ) -> Any:
        now = self.clock.now()
        taken = session.execute(
            update(Node)
            .where(Node.id == node_id, or_(Node.lease_owner.is_(None), Node.lease_expires < now))
            .values(
                lease_owner=holder.uuid,
                lease_host=holder.host,
                lease_purpose=purpose,
                lease_since=now,
                lease_expires=now + datetime.timedelta(seconds=self.lease_seconds),
                fence=Node.fence + 1,
            )
            .returning(wanted)
            .execution_options(synchronize_session=False, populate_existing=True)
        ).scalar_one_or_none()
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
        overdue = session.execute(
            update(Node)
            .where(Node.id == node_id, Node.deadline < now)
            .values(lease_owner=None, deadline=now + datetime.timedelta(seconds=CLEAN_UP_SECONDS))
            .returning(Node.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        return None if overdue is None else self.reserve_node(session, node_id, holder, purpose)

    def renew_all(self, session: Session, holder: Holder) -> None:
        """Push out the expiry of every lease that ``holder`` has. One statement."""
        expires = self.clock.now() + datetime.timedelta(seconds=self.lease_seconds)
        session.execute(
            update(Node)
            .where(Node.lease_owner == holder.uuid)
            .values(lease_expires=expires)
            .execution_options(synchronize_session=False)
        )

    def release_all(self, session: Session, holder: Holder) -> None:
        """Give back every node that ``holder`` has; what it was doing there may be taken up."""
        session.execute(
            update(Node)
            .where(Node.lease_owner == holder.uuid)
            .values(**_FREE)
            .execution_options(synchronize_session=False)
        )

    def release(self, session: Session, lease: Lease, values: dict[str, Any] | None = None) -> None:
        """Give the node back and write ``values`` with it, in the caller's transaction."""
        self.update_leased(session, lease, {**_FREE, **(values or {})})

    def update_leased(self, session: Session, lease: Lease, values: dict[str, Any]) -> None:
        """Write columns of the node if, and only if, ``lease`` still holds. Else LeaseLost."""
        done = session.execute(
            update(Node)
            .where(
                Node.id == lease.node_id,
                Node.fence == lease.fence,
                Node.lease_owner == lease.holder.uuid,
            )
            .values(**values)
            .returning(Node.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if done is None:
            raise LeaseLost(
                f"The lease for '{lease.purpose}' on this node has ended or was taken over; "
                "its new holder goes on with the work."
            )

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


def _loads(text: str) -> Any:
    # Most JSON columns of most rows are empty.
    return {} if text == "{}" else json.loads(text)


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            hide_parameters=True,
        )
    engine = create_engine(
        url,
        connect_args={"timeout": SQLITE_BUSY_SECONDS},
        pool_size=POOL_SIZE + KEPT,
        max_overflow=POOL_OVERFLOW,
        # The values of a statement that fails may be passwords.
        hide_parameters=True,
        json_deserializer=_loads,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        # The driver must not open transactions by itself: we say BEGIN below.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        statement = connection.get_execution_options().get("drophammer_begin", "BEGIN")
        if statement is not None:
            connection.exec_driver_sql(statement)

    return engine
