"""Where letters arrive: a role's desk, the desk for answers, and their servers.

What is no letter, not for us, too old or here for the second time is laid aside with a line
in the log. Nothing that arrives can end the serving.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from drophammer.bus_answer import Request, answer
from drophammer.bus_letter import ALIVE, ANSWER, CALL, CAST, Letter, Refused, unpack
from drophammer.bus_line import VERSION
from drophammer.bus_threads import oslo_messaging, take_while_reading
from drophammer.clock import Clock

LOG = logging.getLogger(__name__)
REMEMBERED = 2000
ALIVE_EVERY_SECONDS = 0.5
# In which a server has begun to serve, or goes on trying to behind the caller's back.
START_SECONDS = 5.0
STOP_SECONDS = 2.5

Reply = Callable[[Letter, str, dict[str, Any]], None]


class Desk(Protocol):
    """What oslo.messaging hands what arrived to."""

    def take(self, context: object, letter: object, signature: object = "") -> None: ...

    def close(self) -> None: ...


class RoleDesk:
    """Answers for ``endpoint``. ``reply(letter, kind, told)`` sends something back."""

    def __init__(
        self, topic: str, endpoint: object, *, clock: Clock, key: str, reply: Reply
    ) -> None:
        self._topic = topic
        self._endpoint = endpoint
        self._clock = clock
        self._key = key
        self._reply = reply
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._running: dict[str, tuple[float, Letter]] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._show_life, name="bus-alive", daemon=True).start()

    def take(self, context: object, letter: object, signature: object = "") -> None:
        """Do what a letter asks, once."""
        try:
            found = self._opened(letter, signature)
        except Refused as error:
            LOG.warning("refused a message to %s: %s", self._topic, error)
            return
        until = datetime.datetime.fromtimestamp(found.until, datetime.UTC)
        with self._lock:
            self._running[found.id] = (time.monotonic(), found)
        try:
            told = answer(
                self._endpoint, found.method, found.arguments, Request(found.id, until, found.trace)
            )
        finally:
            with self._lock:
                del self._running[found.id]
        if found.kind == CALL:
            self._reply(found, ANSWER, told)

    def close(self) -> None:
        """Show life no more."""
        self._closed.set()

    def _opened(self, text: object, signature: object) -> Letter:
        now = self._clock.now().timestamp()
        letter = unpack(text, signature, to=self._topic, key=self._key, now=now)
        if letter.kind not in (CALL, CAST):
            raise Refused(f"{letter.kind!r} is nothing that a role is asked for")
        with self._lock:
            if letter.id in self._seen:
                raise Refused(f"'{letter.method}' {letter.id} has been here before")
            self._seen[letter.id] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return letter

    def _show_life(self) -> None:
        """Tell the callers of what takes long that somebody is still at it."""
        while not self._closed.wait(ALIVE_EVERY_SECONDS):
            before = time.monotonic() - ALIVE_EVERY_SECONDS
            with self._lock:
                calls = [
                    letter
                    for since, letter in self._running.values()
                    if since < before and letter.kind == CALL
                ]
            for letter in calls:
                self._reply(letter, ALIVE, {})


class ReplyDesk:
    """Hands answers, and signs of life, to ``tell(id, letter)``."""

    def __init__(
        self, topic: str, *, clock: Clock, key: str, tell: Callable[[Letter], None]
    ) -> None:
        self._topic = topic
        self._clock = clock
        self._key = key
        self._tell = tell

    def take(self, context: object, letter: object, signature: object = "") -> None:
        """Pass one on."""
        now = self._clock.now().timestamp()
        try:
            found = unpack(letter, signature, to=self._topic, key=self._key, now=now)
            if found.kind not in (ANSWER, ALIVE):
                raise Refused(f"{found.kind!r} is no answer")
        except Refused as error:
            LOG.warning("refused an answer: %s", error)
            return
        self._tell(found)

    def close(self) -> None:
        """Nothing of it goes on by itself."""


class _Window:
    """What can be called from outside: ``take``, and nothing else of a desk."""

    def __init__(self, desk: Desk) -> None:
        self.target = oslo_messaging.Target(version=VERSION)
        self.take = desk.take


class OsloServed:
    """A desk's server. It is started in the background: the broker may be away for long.

    Without ``threads`` of its own for them, a desk takes letters in the one that reads them.
    """

    def __init__(self, transport: Any, target: Any, desk: Desk, threads: int) -> None:
        self._transport = transport
        self._target = target
        self._desk = desk
        self._threads = threads
        self._lock = threading.Lock()
        self._stopping = False
        self._server: Any = None
        self._ready = threading.Event()
        self._ender = threading.Thread(target=self._end, name="bus-stop", daemon=True)
        threading.Thread(target=self._start, name="bus-start", daemon=True).start()

    def ready(self, seconds: float = 0.0) -> bool:
        """Whether it serves, waiting for that so long."""
        return self._ready.wait(seconds) if seconds else self._ready.is_set()

    def stop(self) -> None:
        """Take nothing more, give the broker back what was not begun, end what was.

        Behind the caller's back after a moment: while the broker is away it cannot be done.
        """
        self.begin_to_stop().join(STOP_SECONDS)

    def begin_to_stop(self) -> threading.Thread:
        """The same, by a thread that ends when it is done."""
        with self._lock:
            first, self._stopping = not self._stopping, True
            if first:
                self._ender.start()
        return self._ender

    def _start(self) -> None:
        server = oslo_messaging.get_rpc_server(
            self._transport,
            self._target,
            [_Window(self._desk)],
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        if not self._threads:
            take_while_reading(server)
        server.start(override_pool_size=self._threads)
        with self._lock:
            self._server = server
            stopping = self._stopping
            self._ready.set()
        if stopping:
            self._end()

    def _end(self) -> None:
        server = self._server
        if server is not None:
            server.stop()
            # What the broker has sent us since goes to others now, not when our last call ends.
            server.listener.cleanup()
            server.wait()
        self._desk.close()
