"""Queries on conductors: who is there and what they can drive."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from drophammer.model import Conductor, JSONObject


def register(
    session: Session,
    *,
    uuid: str,
    hostname: str,
    group: str,
    hardware_types: JSONObject,
    now: datetime.datetime,
) -> str | None:
    """Note that a conductor has started; the UUID of the process whose place it takes.

    What that one held may be given back: if it should still live, the fences of
    its leases keep it from writing.
    """
    row = session.scalars(
        select(Conductor).where(Conductor.hostname == hostname)
    ).one_or_none() or Conductor(hostname=hostname, created_at=now)
    previous: str | None = row.uuid
    row.uuid = uuid
    row.conductor_group = group.lower()
    row.hardware_types = hardware_types
    row.online = True
    row.seen_at = now
    session.add(row)
    return previous


def beat(session: Session, uuid: str, now: datetime.datetime) -> bool:
    """Note that a conductor is alive. False when another one has taken its host name."""
    return (
        session.execute(
            update(Conductor)
            .where(Conductor.uuid == uuid)
            .values(seen_at=now, online=True)
            .returning(Conductor.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        is not None
    )


def leave(session: Session, uuid: str) -> None:
    """Note that a conductor has stopped in an orderly way."""
    session.execute(update(Conductor).where(Conductor.uuid == uuid).values(online=False))


def alive(session: Session, since: datetime.datetime) -> Sequence[Conductor]:
    """The conductors that beat after ``since``, by host name."""
    return session.scalars(
        select(Conductor)
        .where(Conductor.online.is_(True), Conductor.seen_at > since)
        .order_by(Conductor.hostname)
    ).all()
