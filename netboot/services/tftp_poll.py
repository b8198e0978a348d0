"""Many transfer sockets behind one reader of the event loop.

An epoll object is itself a descriptor that can be waited for. asyncio watches that
one and a tight loop here calls the sockets that are ready: with hundreds of
transfers this halves the CPU time of a packet against a loop.add_reader for each.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

EVENTS_PER_TURN = 64


class Poll:
    """Calls back for sockets that can be read; used from the event loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._epoll, self._dispatch)

    def add(self, sock: socket.socket, call: Callable[[], None]) -> None:
        """Call ``call`` whenever there is something to read. Raises OSError (no memory)."""
        self._epoll.register(sock, select.EPOLLIN)
        self._calls[sock.fileno()] = call

    def remove(self, sock: socket.socket) -> None:
        """Forget a socket; to be called before it is closed."""
        self._epoll.unregister(sock)
        del self._calls[sock.fileno()]

    def close(self) -> None:
        self._loop.remove_reader(self._epoll)
        self._epoll.close()

    def _dispatch(self) -> None:
        calls = self._calls
        for fd, _ in self._epoll.poll(0, EVENTS_PER_TURN):
            # One of the calls before may have ended this one's transfer.
            if call := calls.get(fd):
                call()
