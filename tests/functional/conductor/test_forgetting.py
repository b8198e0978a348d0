"""Events are kept for as long as they are to be, and no longer."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import select

from conductor import periodic
from drophammer import events
from drophammer.model import Event


def tell(scene: Any, days: float, count: int = 1) -> None:
    at = scene.store.clock.now() - datetime.timedelta(days=days)
    with scene.store.write() as session:
        for _ in range(count):
            events.record(
                session, node_id=None, at=at, source="api", kind="note", message=f"{days:g} days"
            )


def left(scene: Any) -> list[str]:
    with scene.store.read() as session:
        return list(session.scalars(select(Event.message).order_by(Event.id)))


def test_old_events_are_forgotten_in_batches_and_younger_ones_stay(scene: Any) -> None:
    process = scene.start(event_retention_days=30)
    tell(scene, 40, periodic.FORGET_BATCH + 10)
    tell(scene, 31)
    tell(scene, 29)
    tell(scene, 0)
    process.periodic.forget_events()
    assert left(scene) == ["29 days", "0 days"]
    process.periodic.forget_events()
    assert left(scene) == ["29 days", "0 days"]


def test_with_no_limit_nothing_is_forgotten(scene: Any) -> None:
    process = scene.start(event_retention_days=0)
    tell(scene, 4000)
    process.periodic.forget_events()
    assert left(scene) == ["4000 days"]
