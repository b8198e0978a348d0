"""Queries on agents: what the ramdisk on a node told of itself.

The rows are apart from the nodes' so that a heartbeat neither waits for nor
disturbs whoever holds the node.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, bindparam, insert, select, update
from sqlalchemy.orm import Session

from drophammer import portable
from drophammer.model import Agent

_AGENTS: Any = Agent.__table__
_BEAT = (
    update(_AGENTS)
    .where(_AGENTS.c.node_id == bindparam("node"), _AGENTS.c.token == bindparam("held"))
    .values(
        beats=_AGENTS.c.beats + 1,
        last_beat=bindparam("now"),
        **{name: bindparam(name) for name in ("url", "version", "certificate")},
    )
)


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


def beat(session: Session, beats: Sequence[Mapping[str, Any]], now: datetime.datetime) -> bool:
    """Note heartbeats: ``node``, the token that it ``held``, and the agent's columns.

    False when one of the nodes no longer holds that token, because it was rebooted; the
    caller's transaction must not be committed then.
    """
    # In one order, so that those who write several rows do not wait for each other.
    rows = [{**row, "now": now} for row in sorted(beats, key=lambda row: int(row["node"]))]
    done = cast(CursorResult[Any], session.execute(_BEAT, rows))
    return done.rowcount == len(rows)


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
    known = portable.changed(
        session, update(Agent).where(Agent.node_id == node_id).values(**values)
    )
    if not known and starting:
        session.execute(insert(Agent).values(node_id=node_id, **values))


def lock(session: Session, node_id: int) -> None:
    """Take the agent's row before the node's, in the order that everybody takes them."""
    session.execute(select(Agent.node_id).where(Agent.node_id == node_id).with_for_update())
