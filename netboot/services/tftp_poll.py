"""An event loop that calls the sockets of transfers straight from its wait.

asyncio makes several objects for each packet on the way from the kernel to a callback of
``add_reader``. A transfer in lockstep is made of nothing but such ways; without them a
packet costs up to a third less CPU time. Everything else goes through asyncio as ever.
"""

from __future__ import annotations

import asyncio
import logging
import select
import selectors
import socket
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

EVENTS_PER_TURN = 64  # then timers and what asyncio watches have their turn


class Poll(selectors.BaseSelector):
    """A selector for asyncio which also calls back itself, for sockets that were ``add``ed.

    Used from the event loop's thread only. asyncio's own selector is one of the descriptors
    that are waited for.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        self._others = selectors.EpollSelector()
        self._epoll.register(self._others.fileno(), select.EPOLLIN)

    def add(self, sock: socket.socket, call: Callable[[], None]) -> None:
        """Call ``call`` whenever there is something to read. Raises OSError (no memory)."""
        self._epoll.register(sock, select.EPOLLIN)
        self._calls[sock.fileno()] = call

    def remove(self, sock: socket.socket) -> None:
        """Forget a socket; to be called before it is closed."""
        self._epoll.unregister(sock)
        del self._calls[sock.fileno()]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, call those that were added, and return what asyncio is to call."""
        others = False
        calls = self._calls
        for fd, _ in self._epoll.poll(timeout, EVENTS_PER_TURN):
            call = calls.get(fd)
            if call is None:
                others = True
                continue
            try:
                call()
            except Exception:  # the edge: one transfer must not end the loop of all
                log.exception("A packet could not be handled")
        return self._others.select(0) if others else []

    # What asyncio asks of its selector

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._others.get_map()

    def close(self) -> None:
        self._others.close()
        self._epoll.close()


class PollLoop(asyncio.SelectorEventLoop):
    """The event loop of netboot's servers; ``poll`` is what it waits with."""

    def __init__(self) -> None:
        self.poll = Poll()
        super().__init__(self.poll)
