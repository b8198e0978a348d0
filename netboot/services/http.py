"""The HTTP server for boot files and images: GET and HEAD, HTTP/1.1, no TLS.

Owns the sockets and the connections. What a request or an answer is stands in
http_request.py and http_answer.py, how bytes leave in http_delivery.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections import Counter
from collections.abc import Sequence

from netboot.content import Nobody, Observer, Source
from netboot.refusals import Refusals
from netboot.services.http_answer import head_bytes, refusal_fields
from netboot.services.http_connection import Connection, Limits

log = logging.getLogger(__name__)

ACCEPTS_PER_TURN = 64
BACKLOG = 1024  # a whole rack connects in the same instant
REST_WHEN_OUT_OF_FILES = 1.0


class HttpServer:
    """Serves what ``source`` has over bound TCP ``sockets``, which belong to it from now on."""

    def __init__(
        self,
        source: Source,
        *,
        sockets: Sequence[socket.socket],
        observer: Observer | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._source = source
        self._doors = list(sockets)
        self._observer = observer or Nobody()
        self._limits = limits or Limits()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._clients: Counter[str] = Counter()
        self._refusals = Refusals("HTTP", log)
        self._open = False

    @property
    def connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._connections)

    @property
    def load(self) -> str:
        """The same, for people."""
        return f"{self.connections} connections"

    async def start(self) -> None:
        """Begin to answer. Raises OSError when a socket cannot be used."""
        self._open = True
        for door in self._doors:
            door.setblocking(False)
            door.listen(BACKLOG)
            self._watch(door)

    async def stop(self, grace: float = 5.0) -> None:
        """Take no more connections; finish what is under way within ``grace`` seconds.

        To stop what is stopped does nothing.
        """
        self._open = False
        doors, self._doors = self._doors, []
        for door in doors:
            asyncio.get_running_loop().remove_reader(door)
            door.close()
        for connection in self._connections.values():
            connection.finish()
        await self._connections_over(grace)
        for task in self._connections:
            task.cancel()
        await self._connections_over(None)

    async def _connections_over(self, seconds: float | None) -> None:
        if self._connections:
            await asyncio.wait(set(self._connections), timeout=seconds)

    def _watch(self, door: socket.socket) -> None:
        if self._open:
            asyncio.get_running_loop().add_reader(door, self._accept, door)

    def _accept(self, door: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, peer = door.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(door, error)
                return
            self._connect(sock, peer[0])

    def _cannot_accept(self, door: socket.socket, error: OSError) -> None:
        """Without descriptors the door stays readable: rest, instead of spinning."""
        log.warning("HTTP cannot accept connections now: %s", error.strerror)
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            loop = asyncio.get_running_loop()
            loop.remove_reader(door)
            loop.call_later(REST_WHEN_OUT_OF_FILES, self._watch, door)

    def _connect(self, sock: socket.socket, client: str) -> None:
        sock.setblocking(False)
        full = len(self._connections) >= self._limits.max_connections
        if full or self._clients[client] >= self._limits.max_of_client:
            self._turn_away(sock)
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, self._source, self._observer, self._limits, self._refusals)
        task = asyncio.get_running_loop().create_task(connection.run())
        self._connections[task] = connection
        self._clients[client] += 1
        task.add_done_callback(lambda over: self._forget(over, client))

    def _forget(self, task: asyncio.Task[None], client: str) -> None:
        del self._connections[task]
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    @staticmethod
    def _turn_away(sock: socket.socket) -> None:
        body = b"Too many connections; try again in a few seconds.\n"
        with sock, contextlib.suppress(OSError):
            sock.send(head_bytes(503, refusal_fields(503), len(body), close=True) + body)
