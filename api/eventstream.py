"""The event stream: one thread that reads events once and tells them to all who listen.

A listener costs a socket and no thread: the WSGI server hands its connection over once the
request has been answered for (``server.py``). The thread runs only while somebody listens.
It asks the table, so that it does not matter which process an event is from, four times a
second, and at once for what this process writes. Who is behind, because it resumes at an
older event, is brought up to the present page by page, as fast as it reads.
"""

from __future__ import annotations

import logging
import os
import resource
import selectors
import socket
import threading
import time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from api.eventtext import SIGN_OF_LIFE, greeting, message
from api.listener import Listener
from api.metrics import FOLLOWERS
from drophammer import events
from drophammer.errors import Unavailable
from drophammer.events import Wanted
from drophammer.store import Store
from drophammer.tail import Tail

LOG = logging.getLogger(__name__)
LISTENERS = 2000
POLL_SECONDS = 0.25
# Writes come in bursts: one look for many of them.
BURST_SECONDS = 0.02
RETRY_SECONDS = 2.0
LIFE_SECONDS = 15.0
STALL_SECONDS = 60.0
GOODBYE_SECONDS = 1.0
PAGE = 500


class EventStream:
    """All listeners of this process."""

    def __init__(
        self,
        store: Store,
        *,
        poll_seconds: float = POLL_SECONDS,
        life_seconds: float = LIFE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.tail = Tail(store)
        self._store = store
        self._poll_seconds = poll_seconds
        self._life_seconds = life_seconds
        self._stall_seconds = stall_seconds
        self._lock = threading.Lock()
        self._new: list[Listener] = []
        self._listeners: dict[int, Listener] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False
        # Up to where all who are not behind have been told.
        self._head = 0
        self._selector: selectors.BaseSelector
        self._alarm = -1
        self._rung = False
        self._limit = _limit()

    def start(self) -> None:
        """Be counted. There is nothing else to do before somebody listens."""
        FOLLOWERS.answer(self._count)

    def stop(self, timeout: float = 1.5) -> None:
        """Tell all who listen that this ends, and end it; nobody is taken on any more."""
        with self._lock:
            self._stopping = True
            FOLLOWERS.forget(self._count)
            thread = self._thread
            self._ring()
        if thread is not None:
            thread.join(timeout)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners) + len(self._new)

    def _count(self) -> list[tuple[str, float]]:
        return [("", self.listeners)]

    def check_room(self) -> None:
        """Raise Unavailable when no more can be taken on."""
        if self._stopping:
            raise Unavailable("This API is stopping; try again in a moment.")
        if self.listeners >= self._limit:
            raise Unavailable(
                f"{self._limit} clients follow the events here, and no more can; try again "
                "later, or ask for pages with stream=false."
            )

    def adopt(self, sock: socket.socket, wanted: Wanted, position: int) -> None:
        """Take over a connection whose response header has been sent."""
        listener = Listener(sock, wanted, position)
        listener.offer(greeting(position))
        with self._lock:
            if self._stopping:
                listener.close()
                return
            self._new.append(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._selector = selectors.DefaultSelector()
                self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                self._rung = False
                self._thread.start()
            self._ring()

    def _ring(self) -> None:
        """Wake the thread; costs nothing when that has been done already."""
        if not self._rung and self._alarm >= 0:
            self._rung = True
            os.eventfd_write(self._alarm, 1)

    def _wrote(self) -> None:
        with self._lock:
            self._ring()

    # The thread

    def _run(self) -> None:
        self._selector.register(self._alarm, selectors.EVENT_READ, None)
        events.watch(self._wrote)
        try:
            self._follow()
        except Exception:
            LOG.exception("the event stream broke off; its listeners come back by themselves")
            with self._lock:
                self._leave()

    def _follow(self) -> None:
        """Until nobody listens any more, or this ends."""
        self._head = -1
        look_at = 0.0
        life_at = time.monotonic() + self._life_seconds
        while not self._stopping:
            rung = self._wait(min(look_at, life_at) - time.monotonic())
            now = time.monotonic()
            if rung:
                look_at = min(look_at, now + BURST_SECONDS)
            if now >= look_at:
                look_at = now + (self._poll_seconds if self._look() else RETRY_SECONDS)
            if now >= life_at:
                life_at = now + self._life_seconds
                self._show_life()
            self._push_all(now)
            if any(map(self._wants_more, self._listeners.values())):
                look_at = min(look_at, now + BURST_SECONDS)
            if self._left():
                return
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        end = time.monotonic() + GOODBYE_SECONDS
        self._adopt_new()
        for listener in self._listeners.values():
            listener.end("This API is stopping; go on from the last id, here or at another one.")
        while self._listeners:
            # Once at least, however late it is.
            self._push_all(time.monotonic())
            if time.monotonic() >= end:
                break
            self._wait(0.05)
        with self._lock:
            self._leave()

    def _left(self) -> bool:
        with self._lock:
            if self._listeners or self._new:
                return False
            self._leave()
            return True

    def _leave(self) -> None:
        """Under the lock: the next listener finds no thread and starts one."""
        events.unwatch(self._wrote)
        for listener in [*self._listeners.values(), *self._new]:
            listener.close()
        self._listeners.clear()
        self._new.clear()
        self._selector.close()
        os.close(self._alarm)
        self._alarm = -1
        self._thread = None

    def _wait(self, seconds: float) -> bool:
        """Wait for sockets, an alarm or the time; whether there was an alarm."""
        rung = False
        for key, mask_ in self._selector.select(max(0.0, seconds)):
            listener = key.data
            if listener is None:
                rung = True
                self._adopt_new()
            elif mask_ & selectors.EVENT_READ and listener.gone():
                self._drop(listener)
        return rung

    def _adopt_new(self) -> None:
        with self._lock:
            if self._rung:
                os.eventfd_read(self._alarm)
                self._rung = False
            new, self._new = self._new, []
            for listener in new:
                self._listeners[listener.sock.fileno()] = listener
        for listener in new:
            self._selector.register(listener.sock, selectors.EVENT_READ, listener)

    def _drop(self, listener: Listener) -> None:
        if self._listeners.pop(listener.sock.fileno(), None) is not None:
            self._selector.unregister(listener.sock)
            listener.close()

    def _look(self) -> bool:
        """Tell what has happened since the last look. False when the database is away."""
        try:
            settled = self.tail.settled()
            if self._head < 0:
                self._head = settled
            while self._head < settled:
                self._tell(settled)
            self._bring_up()
        except SQLAlchemyError as error:
            LOG.warning("the event stream waits for the database: %s", type(error).__name__)
            return False
        return True

    def _tell(self, settled: int) -> None:
        """One page of what is new, to all who have seen all that was before."""
        found = self._page(self._head, settled, events.EVERYTHING)
        until = found[-1].id if len(found) == PAGE else settled
        present = [each for each in self._listeners.values() if each.position >= self._head]
        for event in found:
            text: bytes | None = None
            for listener in present:
                if event.id > listener.position and listener.wanted.takes(
                    event.node_id, event.kind, event.source
                ):
                    text = message(event) if text is None else text
                    listener.offer(text)
        for listener in present:
            listener.position = max(listener.position, until)
        self._head = until

    def _bring_up(self) -> None:
        """A page more for each who is behind and has taken the last one."""
        for listener in self._listeners.values():
            if self._wants_more(listener):
                found = self._page(listener.position, self._head, listener.wanted)
                listener.position = found[-1].id if len(found) == PAGE else self._head
                # One piece: it is not to be cut off for what it asked for.
                listener.offer(b"".join(message(event) for event in found))

    def _wants_more(self, listener: Listener) -> bool:
        return listener.position < self._head and listener.idle and not listener.ending

    def _page(self, after: int, until: int, wanted: Wanted) -> Any:
        with self._store.ask() as connection:
            return events.of_all(connection, after=after, until=until, wanted=wanted, limit=PAGE)

    def _show_life(self) -> None:
        for listener in self._listeners.values():
            if listener.idle:
                listener.offer(SIGN_OF_LIFE)

    def _push_all(self, now: float) -> None:
        for listener in list(self._listeners.values()):
            busy = not listener.idle
            try:
                listener.push()
            except OSError:
                self._drop(listener)
                continue
            if listener.stalled(now, self._stall_seconds) or (listener.ending and listener.idle):
                self._drop(listener)
            elif busy or not listener.idle:
                self._watch(listener)

    def _watch(self, listener: Listener) -> None:
        """Have the selector tell when there is room, where something waits for it."""
        wanted = selectors.EVENT_READ
        if not listener.idle:
            wanted |= selectors.EVENT_WRITE
        if self._selector.get_key(listener.sock).events != wanted:
            self._selector.modify(listener.sock, wanted, listener)


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return LISTENERS if soft == resource.RLIM_INFINITY else min(LISTENERS, soft // 4)
