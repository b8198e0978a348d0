"""Work on nodes and who does it: the journal, agents, conductors, what happened."""

from __future__ import annotations

import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from drophammer.model.base import Base, JSONObject, LongText


class Operation(Base):
    """One piece of work on a node, from an operator's verb to its end.

    ``state`` is running, waiting, done, failed or aborted; failing or aborting while the
    machine is still to be left safe before the last two. ``flow`` names the
    list of steps, ``position`` the step that is due. Everything needed to go on
    after a crash is here and in ``steps``.
    """

    __tablename__ = "operations"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    verb: Mapped[str] = mapped_column(String(32))
    flow: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16), index=True)
    position: Mapped[int] = mapped_column(default=0)
    request: Mapped[JSONObject] = mapped_column(default=dict)
    abort_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    progress_done: Mapped[int | None] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    progress_message: Mapped[str | None] = mapped_column(LongText)
    progress_at: Mapped[datetime.datetime | None]
    error: Mapped[str | None] = mapped_column(LongText)
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]


class Step(Base):
    """One step of an operation: the journal.

    ``state`` is pending, running, done or failed. ``cursor`` is where a
    step that takes several visits has got to (its own words, e.g. the id of the
    agent command it waits for).
    """

    __tablename__ = "steps"
    __table_args__ = (Index("ix_steps_operation_position", "operation_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    operation_id: Mapped[int] = mapped_column(ForeignKey("operations.id", ondelete="CASCADE"))
    position: Mapped[int]
    interface: Mapped[str] = mapped_column(String(32))
    step: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    source: Mapped[str] = mapped_column(String(32))
    args: Mapped[JSONObject] = mapped_column(default=dict)
    abortable: Mapped[bool] = mapped_column(default=False, server_default=false())
    reboot_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    state: Mapped[str] = mapped_column(String(16))
    cursor: Mapped[JSONObject] = mapped_column(default=dict)
    result: Mapped[JSONObject] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(LongText)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]


class Agent(Base):
    """What is known of the ramdisk agent on a node. One row per node that ever had one.

    A row of its own, so that a heartbeat never waits for, nor disturbs, the
    holder of the node. ``beats`` counts heartbeats; a worker that is about to
    wait compares it, so that none falls between "send" and "wait".
    """

    __tablename__ = "agents"

    node_id: Mapped[int] = mapped_column(
        ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    token: Mapped[str | None] = mapped_column(String(64))
    token_shown: Mapped[bool] = mapped_column(default=False, server_default=false())
    url: Mapped[str | None] = mapped_column(LongText)
    version: Mapped[str | None]
    certificate: Mapped[str | None] = mapped_column(LongText)
    step_version: Mapped[JSONObject] = mapped_column(default=dict)
    beats: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    last_beat: Mapped[datetime.datetime | None]


class Event(Base):
    """Something that happened to a node, as seen by one role. Only ever added to.

    ``source`` is api, conductor, netboot or agent; ``kind`` a short word (state,
    power, dhcp, tftp, http, heartbeat, error, ...).
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_node_id_id", "node_id", "id"),
        # An id is never given out again: streams go on from the last one they saw.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    at: Mapped[datetime.datetime]
    source: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(LongText)
    data: Mapped[JSONObject] = mapped_column(default=dict)


class HistoryEntry(Base):
    """One line of a node's history as the API's clients read it: how an operation ended."""

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_node_id_id", "node_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    created_at: Mapped[datetime.datetime]
    severity: Mapped[str] = mapped_column(String(16))
    event_type: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(LongText)
    conductor: Mapped[str | None]
    user: Mapped[str | None]
    project: Mapped[str | None]
    state: Mapped[str | None] = mapped_column(String(15))
    target_provision_state: Mapped[str | None] = mapped_column(String(15))
    duration_seconds: Mapped[float | None]


class Conductor(Base):
    """One life of a conductor process: who it is, what it can drive, when it was last seen.

    ``id`` is its epoch: whoever starts later, anywhere, has a higher one. ``process`` lets
    others on the same machine see whether it still exists (``processes.py``).
    """

    __tablename__ = "conductors"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    hostname: Mapped[str] = mapped_column(index=True)
    conductor_group: Mapped[str] = mapped_column(default="", server_default="")
    hardware_types: Mapped[JSONObject] = mapped_column(default=dict)
    process: Mapped[str | None]
    online: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime.datetime]
    seen_at: Mapped[datetime.datetime]


class Service(Base):
    """One service of a netboot host (DHCP, TFTP, ...), as that host last told of it.

    ``expected`` is on, off or any, ``actual`` running, off, dead, ...; each with a sentence
    that says why. ``since`` is when ``actual`` became so, ``seen_at`` when it was last looked at.
    """

    __tablename__ = "services"
    __table_args__ = (UniqueConstraint("hostname", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hostname: Mapped[str]
    name: Mapped[str] = mapped_column(String(32))
    unit: Mapped[str | None]
    managed_by: Mapped[str] = mapped_column(String(16))
    expected: Mapped[str] = mapped_column(String(16))
    expected_reason: Mapped[str] = mapped_column(LongText)
    actual: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(LongText)
    since: Mapped[datetime.datetime]
    seen_at: Mapped[datetime.datetime]
