"""Queries on conductors: who is there and what they can drive.

A row is one life of a process. Host names are for people: several processes may share
one, and a process that starts again is somebody else.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from drophammer import portable
from drophammer.model import Conductor, JSONObject
from drophammer.processes import Process

# How long an ended life is remembered: when its host name has a newer one, and at all.
_REPLACED_SECONDS, _GONE_SECONDS = 600.0, 30 * 86400.0


def topic(group: str) -> str:
    """The bus topic of the conductors of a group."""
    return f"conductor.{group.lower()}" if group else "conductor"


def register(
    session: Session,
    *,
    uuid: str,
    hostname: str,
    group: str,
    hardware_types: JSONObject,
    now: datetime.datetime,
    process: Process | None = None,
) -> None:
    """Note that a conductor has started."""
    session.add(
        Conductor(
            uuid=uuid,
            hostname=hostname,
            conductor_group=group.lower(),
            hardware_types=hardware_types,
            process=None if process is None else str(process),
            online=True,
            created_at=now,
            seen_at=now,
        )
    )
    session.flush()


def beat(session: Session, uuid: str, now: datetime.datetime) -> bool:
    """Note that a conductor is alive. False when it has been forgotten meanwhile."""
    return portable.changed(
        session,
        update(Conductor).where(Conductor.uuid == uuid).values(seen_at=now, online=True),
    )


def leave(session: Session, *uuids: str) -> None:
    """Note that conductors have stopped: in an orderly way, or their process is gone."""
    session.execute(update(Conductor).where(Conductor.uuid.in_(uuids)).values(online=False))


def alive(session: Session, since: datetime.datetime) -> Sequence[Conductor]:
    """The conductors that beat after ``since``, by host name, older lives first."""
    return session.scalars(
        select(Conductor)
        .where(Conductor.online.is_(True), Conductor.seen_at > since)
        .order_by(Conductor.hostname, Conductor.id)
    ).all()


def last_seen(session: Session) -> datetime.datetime | None:
    """When any conductor was last alive, as far as is remembered."""
    return session.scalar(select(func.max(Conductor.seen_at)))


def whose_process_is_gone(session: Session, seen_from: Process | None) -> list[str]:
    """UUIDs of the conductors that went without a word, as far as that shows from here."""
    query = select(Conductor.uuid, Conductor.process).where(Conductor.online.is_(True))
    found = ((uuid, Process.parse(text)) for uuid, text in session.execute(query))
    return [uuid for uuid, process in found if process is not None and process.is_gone(seen_from)]


def latest() -> ColumnElement[bool]:
    """Of the lives under one host name, the one that was seen last: what people are shown."""
    other = aliased(Conductor)
    later = _seen(other) > _seen(Conductor)
    return ~select(other.id).where(other.hostname == Conductor.hostname, later).exists()


def _seen(life: type[Conductor]) -> Any:
    """To be compared. Whoever left in an orderly way is behind those who did not."""
    return tuple_(life.online, life.seen_at, life.id)


def forget_old(session: Session, now: datetime.datetime) -> None:
    """Drop the rows of lives that ended long ago."""
    other = aliased(Conductor)
    newer = select(other.id).where(other.hostname == Conductor.hostname, other.id > Conductor.id)
    for seconds, also in ((_REPLACED_SECONDS, [newer.exists()]), (_GONE_SECONDS, [])):
        before = now - datetime.timedelta(seconds=seconds)
        session.execute(
            delete(Conductor)
            .where(Conductor.seen_at < before, *also)
            .execution_options(synchronize_session=False)
        )
