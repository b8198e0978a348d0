"""The bus over oslo.messaging, between processes and hosts.

A call is a letter to a role's queue, and its answer a letter back to the caller's own; both
are casts of oslo.messaging, because its own calls wait in ways that cannot be bounded while
a broker is away (docs/decisions/0009-bus.md). A call is begun soon or not at all; whoever
works on it shows that he lives.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import Any

from oslo_config import cfg

from drophammer import trace
from drophammer.bus import BEGIN_SECONDS, CALL_SECONDS, Served, Unanswered, result_of, split
from drophammer.bus_desk import START_SECONDS, STOP_SECONDS, OsloServed, ReplyDesk, RoleDesk
from drophammer.bus_letter import ALIVE, CALL, CAST, REPLIES, Letter, pack, sign
from drophammer.bus_line import Line, target, transport
from drophammer.bus_outbox import Outbox, Parcel
from drophammer.clock import Clock
from drophammer.errors import Unavailable
from drophammer.model import new_uuid

LOG = logging.getLogger(__name__)
# How long a sign of life may be under way after that, and how long one lasts.
GRACE_SECONDS, ALIVE_SECONDS = 1.5, 4.0
# What a cast asks for, a sweep would have found by then.
CAST_SECONDS = 60.0
FLUSH_SECONDS = 1.0
# Who is asked for trouble and has not sent anything for so long finds out.
QUIET_SECONDS = 5.0
THREADS = 32


class OsloBus:
    """Roles in many processes, over oslo.messaging's RPC with threads (no green ones).

    ``clock`` is the store's. Letters are signed with ``key`` if there is one.
    """

    def __init__(self, conf: cfg.ConfigOpts, url: str, *, clock: Clock, key: str = "") -> None:
        self._clock = clock
        self._key = key
        self._conf = conf
        self._url = url
        self._line = Line(conf, url)
        self._outbox = Outbox(self._line.send)
        self._transport = transport(conf, url)
        self._served: list[OsloServed] = []
        self._replies = _Replies(self)

    def call(self, address: str, method: str, /, **arguments: Any) -> Any:
        topic, server = split(address)
        if self._outbox.stuck:
            raise self._down(method)
        reply_to = self._replies.open()
        letter = self._letter(CALL, topic, method, arguments, BEGIN_SECONDS, reply_to)
        heard = self._replies.expect(letter.id)
        parcel = self._parcel(letter, server, BEGIN_SECONDS)
        parcel.certain, parcel.lost = True, heard.put
        try:
            self._outbox.post(parcel)
            return result_of(self._await(heard, parcel, letter))
        finally:
            self._replies.forget(letter.id)

    def cast(self, address: str, method: str, /, **arguments: Any) -> None:
        topic, server = split(address)
        letter = self._letter(CAST, topic, method, arguments, CAST_SECONDS)
        self._outbox.post(self._parcel(letter, server, CAST_SECONDS))

    def serve(self, topic: str, endpoint: object, host: str) -> Served:
        desk = RoleDesk(topic, endpoint, clock=self._clock, key=self._key, reply=self.reply)
        served = self.open(target(topic, host), desk, THREADS)
        if not served.ready(START_SECONDS):
            LOG.warning("the message bus does not answer; %s is served as soon as it does", topic)
        return served

    def trouble(self) -> str:
        if self._outbox.quiet_seconds > QUIET_SECONDS:
            # Nobody reads it. Whether the broker takes it will be known next time.
            with suppress(Unavailable):
                self._outbox.post(Parcel("nobody", "", "", "", QUIET_SECONDS))
        if self._outbox.stuck or not all(served.ready() for served in self._served):
            return "the message bus does not answer"
        return ""

    def close(self) -> None:
        stopping = [served.begin_to_stop() for served in self._served]
        end = time.monotonic() + STOP_SECONDS
        for thread in stopping:
            thread.join(max(0.0, end - time.monotonic()))
        self._outbox.close(FLUSH_SECONDS)
        closer = threading.Thread(target=self._line.close, name="bus-close", daemon=True)
        closer.start()
        closer.join(FLUSH_SECONDS)

    # For the desks

    def open(self, where: Any, desk: Any, threads: int) -> OsloServed:
        """Begin to serve a desk, in the background."""
        served = OsloServed(self._transport, where, desk, threads)
        self._served.append(served)
        return served

    def reply(self, letter: Letter, kind: str, told: dict[str, Any]) -> None:
        """Send something back to whoever wrote ``letter``."""
        now = self._clock.now().timestamp()
        back = Letter(kind, letter.id, letter.reply_to, now, now + CALL_SECONDS, told=told)
        try:
            self._outbox.post(self._parcel(back, "", CALL_SECONDS))
        except Unavailable as error:
            LOG.warning("an answer to '%s' is lost: %s", letter.method, error.message)

    def reply_desk(self, topic: str, tell: Any) -> ReplyDesk:
        """A desk for the answers to this process."""
        return ReplyDesk(topic, clock=self._clock, key=self._key, tell=tell)

    # Details

    def _letter(
        self,
        kind: str,
        topic: str,
        method: str,
        arguments: dict[str, Any],
        seconds: float,
        reply_to: str = "",
    ) -> Letter:
        now = self._clock.now().timestamp()
        return Letter(
            kind,
            new_uuid(),
            topic,
            now,
            now + seconds,
            method,
            arguments,
            reply_to,
            trace=trace.request(),
        )

    def _parcel(self, letter: Letter, server: str, seconds: float) -> Parcel:
        text = pack(letter)
        return Parcel(letter.to, server, text, sign(text, self._key), seconds)

    def _await(self, heard: _Heard, parcel: Parcel, letter: Letter) -> dict[str, Any]:
        """What the answer tells. Raises Unavailable when nothing was done, else Unanswered."""
        end = time.monotonic() + CALL_SECONDS
        patience = BEGIN_SECONDS
        withdrawn = False
        while (left := min(patience, end - time.monotonic())) > 0:
            told = _next(heard, left)
            if isinstance(told, Unavailable):
                raise told
            if isinstance(told, Letter):
                if told.kind != ALIVE:
                    return told.told
                patience = ALIVE_SECONDS
            elif withdrawn or patience == ALIVE_SECONDS:
                break
            elif self._outbox.withdraw(parcel):
                raise self._down(letter.method)
            else:
                withdrawn, patience = True, GRACE_SECONDS
        why = "the message bus hangs" if self._outbox.stuck else "whoever took it may be gone"
        raise Unanswered(
            f"No answer from {letter.to} to '{letter.method}': {why}. Look at the node, and send "
            "the request again if nothing has happened.",
            letter.id,
        )

    def _down(self, method: str) -> Unavailable:
        return Unavailable(
            f"The message bus does not take messages at present, so '{method}' was not begun; "
            "try again in a moment."
        )


_Heard = queue.SimpleQueue["Letter | Unavailable"]


def _next(heard: _Heard, seconds: float) -> Letter | Unavailable | None:
    try:
        return heard.get(timeout=seconds)
    except queue.Empty:
        return None


class _Replies:
    """Who waits for which answer, and the topic of this process's own that they come to."""

    def __init__(self, bus: OsloBus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._waiting: dict[str, _Heard] = {}
        self._topic = f"{REPLIES}{new_uuid()}"
        self._served: OsloServed | None = None

    def open(self) -> str:
        """The topic, once it is served. Raises Unavailable when the broker does not let it be."""
        with self._lock:
            if self._served is None:
                desk = self._bus.reply_desk(self._topic, self._tell)
                self._served = self._bus.open(target(self._topic, "all"), desk, 0)
        if not self._served.ready(BEGIN_SECONDS):
            raise Unavailable(
                "The message bus cannot be reached, so nothing was begun; try again in a moment."
            )
        return self._topic

    def expect(self, request: str) -> _Heard:
        """Where the answer to a request will be."""
        heard: _Heard = queue.SimpleQueue()
        self._waiting[request] = heard
        return heard

    def forget(self, request: str) -> None:
        """Whoever waited has gone."""
        self._waiting.pop(request, None)

    def _tell(self, letter: Letter) -> None:
        heard = self._waiting.get(letter.id)
        if heard is not None:  # Else nobody waits for it any more.
            heard.put(letter)
