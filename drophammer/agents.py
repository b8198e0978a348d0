"""Queries on agents: what the ramdisk on a node told of itself.

The rows are apart from the nodes' so that a heartbeat neither waits for nor
disturbs whoever holds the node.
"""

from __future__ import annotations

import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from drophammer.model import Agent


def get(session: Session, node_id: int, *, lock: bool = False) -> Agent | None:
    """What is known of the agent on a node. ``lock`` keeps a second look-up waiting."""
    query = select(Agent).where(Agent.node_id == node_id)
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def give_token(session: Session, node_id: int, token: str, *, known: bool) -> None:
    """Store a token that is being shown to the agent now. ``known``: the node has a row."""
    values = {"token": token, "token_shown": True}
    if known:
        session.execute(update(Agent).where(Agent.node_id == node_id).values(**values))
    else:
        session.execute(insert(Agent).values(node_id=node_id, **values))


def beat(
    session: Session,
    node_id: int,
    *,
    token: str,
    url: str | None,
    version: str,
    certificate: str | None,
    now: datetime.datetime,
) -> bool:
    """Note a heartbeat. False when ``token`` is no longer the node's (it was rebooted)."""
    values = {"url": url, "version": version, "certificate": certificate, "last_beat": now}
    return (
        session.execute(
            update(Agent)
            .where(Agent.node_id == node_id, Agent.token == token)
            .values(beats=Agent.beats + 1, **values)
            .returning(Agent.node_id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        is not None
    )


def nudge(session: Session, node_id: int) -> None:
    """Count something else that the ramdisk said, so that a worker about to wait notices it."""
    session.execute(update(Agent).where(Agent.node_id == node_id).values(beats=Agent.beats + 1))


def wipe(session: Session, node_id: int) -> None:
    """Forget the agent: its ramdisk is being stopped or started anew."""
    session.execute(delete(Agent).where(Agent.node_id == node_id))
