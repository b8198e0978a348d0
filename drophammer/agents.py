"""Queries on agents: what the ramdisk on a node told of itself.

The rows are apart from the nodes' so that a heartbeat neither waits for nor
disturbs whoever holds the node.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import insert, select, update
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


def set_step_version(session: Session, node_id: int, version: dict[str, Any]) -> None:
    """Keep what the agent's steps were offered under; each execution must name it."""
    session.execute(update(Agent).where(Agent.node_id == node_id).values(step_version=version))


def forget(session: Session, node_id: int, *, starting: bool) -> None:
    """Let the token of one ramdisk not open the next, nor its address be taken for its own.

    Touches the agent's row before the caller touches the node's: that is the order
    in which a heartbeat locks them, too. ``starting``: a new ramdisk is about to
    boot, and its beats are counted from nought.
    """
    values: dict[str, Any] = {
        "token": None,
        "token_shown": False,
        "url": None,
        "version": None,
        "certificate": None,
        "step_version": {},
    }
    if starting:
        values["beats"] = 0
    known = session.execute(
        update(Agent)
        .where(Agent.node_id == node_id)
        .values(**values)
        .returning(Agent.node_id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if known is None and starting:
        session.execute(insert(Agent).values(node_id=node_id, **values))


def lock(session: Session, node_id: int) -> None:
    """Take the agent's row before the node's, in the order that everybody takes them."""
    session.execute(select(Agent.node_id).where(Agent.node_id == node_id).with_for_update())
