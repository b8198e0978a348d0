"""The services of netboot hosts as they last told of them: the queries.

What a service is, and what is done about one that does not run, is netboot's.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from drophammer.errors import NotFound
from drophammer.model import Service
from drophammer.store import Reader

SILENT_SECONDS = 90.0
"""A host that was not heard of for so long may be gone: it tells each half minute at least."""

LOG_LEVELS = ("debug", "info", "warning", "error")
"""What a service may be told to log, while it runs."""

_FORGOTTEN_DAYS = 30
_PLAIN = {"synchronize_session": False}


@dataclass(frozen=True)
class Told:
    """What a host tells of one of its services."""

    name: str
    unit: str | None
    managed_by: str
    expected: str
    expected_reason: str
    actual: str
    reason: str


def put_all(session: Session, hostname: str, told: Sequence[Told], now: datetime.datetime) -> None:
    """Make these all services of a host. ``since`` moves where ``actual`` is another one."""
    query = select(Service).where(Service.hostname == hostname)
    known = {row.name: row for row in session.scalars(query)}
    for one in told:
        row = known.pop(one.name, None)
        if row is None:
            session.add(Service(hostname=hostname, since=now, seen_at=now, **asdict(one)))
            continue
        if row.actual != one.actual:
            row.since = now
        row.seen_at = now
        for name, value in asdict(one).items():
            setattr(row, name, value)
    for row in known.values():
        session.delete(row)
    _forget_lost_hosts(session, now)


def seen(session: Session, hostname: str, now: datetime.datetime) -> None:
    """Note that a host's services are as they were."""
    session.execute(
        update(Service).where(Service.hostname == hostname).values(seen_at=now),
        execution_options=_PLAIN,
    )


def of_all(reader: Reader) -> Sequence[Service]:
    """All services, by host and name."""
    return reader.scalars(select(Service).order_by(Service.hostname, Service.name)).all()


def one(session: Session, hostname: str, name: str) -> Service:
    """One service. Raises NotFound, naming those that the host has."""
    query = select(Service).where(Service.hostname == hostname).order_by(Service.name)
    found = {row.name: row for row in session.scalars(query)}
    if not found:
        raise NotFound(f"There is no netboot host {hostname!r:.80}.")
    if name not in found:
        raise NotFound(f"Host {hostname} has no service {name!r:.80}; it has {', '.join(found)}.")
    return found[name]


def is_silent(row: Service, now: datetime.datetime) -> bool:
    """Whether the host has not told of it for too long to go by what it said last."""
    return now - row.seen_at > datetime.timedelta(seconds=SILENT_SECONDS)


def _forget_lost_hosts(session: Session, now: datetime.datetime) -> None:
    before = now - datetime.timedelta(days=_FORGOTTEN_DAYS)
    session.execute(delete(Service).where(Service.seen_at < before), execution_options=_PLAIN)
