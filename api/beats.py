"""Heartbeats on their way into the database: those that come together are written together.

A commit waits for the disk, and sqlite has one writer at a time: where each beat has a
transaction of its own, a few hundred a second are all that there can be. Here whoever comes
while another writes waits for it, and the first of those who wait writes for all of them.
An answer goes out when its beat is committed; a beat that comes alone waits for nobody.
Checks what can only be checked against the node's row. HTTP is ``heartbeat.py``'s.
"""

from __future__ import annotations

import contextlib
import datetime
import hmac
import logging
import secrets
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from drophammer import agents, events, nodes, operations
from drophammer.bus import Bus
from drophammer.errors import DrophammerError, Invalid, Unavailable
from drophammer.store import Store

LOG = logging.getLogger(__name__)
# One transaction is to stay short: others wait for it.
LARGEST_BATCH = 128
TOKEN_BYTES = 32
_AWAY = (OperationalError, PoolTimeout)
_NOT_WRITTEN = "The heartbeat could not be written down; send it again."
_COLUMNS = frozenset(
    {
        "provision_state",
        "operation_id",
        "agent_token",
        "agent_url",
        "agent_certificate",
        "agent_beats",
    }
)


@dataclass(frozen=True)
class Beat:
    """What a ramdisk said. ``ident`` is the UUID or name of its node."""

    ident: str
    token: str
    url: str
    version: str
    certificate: str | None = None
    progress: Mapping[str, Any] | None = None


@dataclass
class Noted:
    """What became of a beat: ``refusal`` is what it is answered with until it is written.

    ``uuid`` is the node's, as far as it is known. ``values`` is what goes into the agent's
    row, ``first`` that no other did in this boot; ``waits``: the node waits for this.
    """

    beat: Beat
    node_id: int = 0
    uuid: str | None = None
    operation_id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    first: bool = False
    waits: bool = False
    refusal: Exception | None = field(default_factory=lambda: Unavailable(_NOT_WRITTEN))
    settled: bool = False
    turn: threading.Event = field(default_factory=threading.Event)


class _Overtaken(Exception):
    """Between the look at a row and the write to it somebody else has changed it."""


class Beats:
    """Writes heartbeats. Safe to share between threads; has none of its own."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._lock = threading.Lock()
        self._queue: list[Noted] = []
        self._writing = False

    def note(self, beat: Beat) -> Noted:
        """Write a beat down; returns when it is committed, or refused."""
        mine = Noted(beat)
        with self._lock:
            self._queue.append(mine)
            first = not self._writing
            self._writing = True
        if not first:
            mine.turn.wait()
        if not mine.settled:
            self._write_queue()
        return mine

    def waiting(self) -> int:
        """How many wait to be written."""
        with self._lock:
            return len(self._queue)

    def _write_queue(self) -> None:
        """Write what has come together, and let the first that has come since write the next."""
        with self._lock:
            batch, self._queue = self._queue[:LARGEST_BATCH], self._queue[LARGEST_BATCH:]
        try:
            self._settle(batch)
        finally:
            self._hand_over(batch)
        self._nudge([noted.node_id for noted in batch if noted.waits])

    def _hand_over(self, batch: Sequence[Noted]) -> None:
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._writing = following is not None
        for noted in batch:
            noted.settled = True
            noted.turn.set()
        if following is not None:
            following.turn.set()

    def _nudge(self, node_ids: Sequence[int]) -> None:
        """Have a conductor look. It is only a nudge: what matters has been written already."""
        if node_ids:
            with contextlib.suppress(Unavailable):
                self._bus.cast("conductor", "heartbeats", node_ids=node_ids)

    def _settle(self, batch: Sequence[Noted]) -> None:
        """All of a batch; each by itself when together they cannot be written."""
        try:
            self._write(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].refusal = _refusal(error)
                return
            LOG.warning("%d heartbeats are written one by one: %r", len(batch), error)
            self._settle_each(batch)

    def _settle_each(self, batch: Sequence[Noted]) -> None:
        away: Exception | None = None
        for noted in batch:
            if away is not None:
                noted.refusal = away
                continue
            self._settle([noted])
            if isinstance(noted.refusal, _AWAY):
                away = noted.refusal  # Nobody is made to wait for it once more.

    def _write(self, batch: Sequence[Noted]) -> None:
        with self._store.write() as session:
            now = self._store.clock.now()
            rows = nodes.find_all(session, {noted.beat.ident for noted in batch}, _COLUMNS)
            good = [noted for noted in batch if _accept(noted, rows)]
            if not good:
                return
            if not agents.beat(session, [noted.values for noted in good], now):
                raise _Overtaken
            waiting = nodes.touch(session, {noted.node_id for noted in good}, now)
            _note_progress(session, good, now)
            for noted in good:
                if noted.first:
                    _tell(session, noted, now)
        for noted in good:
            noted.refusal = None
            # What only tells how far it has got brings nothing on.
            noted.waits = noted.node_id in waiting and noted.beat.progress is None


def _refusal(error: Exception) -> Exception:
    if isinstance(error, _Overtaken):
        return Invalid("agent_token: the node has been rebooted meanwhile.")
    return error


def _accept(noted: Noted, rows: Mapping[str, dict[str, Any]]) -> bool:
    """Whether a beat comes from the agent that was given the token; else it gets its refusal."""
    beat, row = noted.beat, rows.get(noted.beat.ident)
    try:
        if row is None:
            raise nodes.not_found(beat.ident)
        noted.uuid = row["uuid"]
        _check_same_agent(row, beat)
    except DrophammerError as refusal:
        noted.refusal = refusal
        return False
    noted.node_id, noted.operation_id = row["id"], row["operation_id"]
    noted.first = row["agent_beats"] == 0
    # Another beat of the same agent in the same batch is compared with this one.
    row["agent_url"] = beat.url or row["agent_url"]
    row["agent_certificate"] = beat.certificate or row["agent_certificate"]
    row["agent_beats"] += 1
    noted.values = {
        "node": row["id"],
        "held": row["agent_token"],
        "url": row["agent_url"],
        "version": beat.version,
        "certificate": row["agent_certificate"],
    }
    return True


def _check_same_agent(row: Mapping[str, Any], beat: Beat) -> None:
    """Raise Invalid unless the beat comes from the agent that was given the token."""
    stored = row["agent_token"]
    # A comparison that takes as long when there is no token to compare with.
    expected = (stored or secrets.token_urlsafe(TOKEN_BYTES)).encode()
    right = hmac.compare_digest(beat.token.encode(), expected)
    if stored is None or not right:
        raise Invalid("agent_token: missing, or not the one this node's agent was given.")
    if row["agent_url"] and beat.url and row["agent_url"] != beat.url:
        raise Invalid("callback_url: not the one this agent gave before.")
    certificate = row["agent_certificate"]
    if beat.certificate and certificate and certificate != beat.certificate:
        raise Invalid("agent_verify_ca: not the certificate this agent gave before.")
    if beat.certificate and not certificate:
        _check_certificate(beat.certificate)


def _check_certificate(pem: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise Invalid("agent_verify_ca: not a certificate in PEM form.") from error


def _note_progress(session: Session, good: Sequence[Noted], now: datetime.datetime) -> None:
    told = [
        (noted.operation_id, noted.beat.progress)
        for noted in good
        if noted.operation_id is not None and noted.beat.progress is not None
    ]
    operations.set_progress(
        session,
        [
            {
                "of": operation_id,
                "progress_done": progress["done"],
                "progress_total": progress.get("total"),
                "progress_message": progress.get("message") or progress.get("step"),
                "progress_at": now,
            }
            for operation_id, progress in told
        ],
    )


def _tell(session: Session, noted: Noted, now: datetime.datetime) -> None:
    events.record(
        session,
        node_id=noted.node_id,
        at=now,
        source="agent",
        kind="heartbeat",
        message=f"the agent (version {noted.beat.version}) is there",
        data={"url": noted.beat.url},
    )
