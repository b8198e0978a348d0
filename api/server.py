"""Serves the API from threads of this process: waitress' HTTP, with threads of our own.

All threads wait for all sockets at once, in the kernel, which wakes one of them for each that
has something to tell. So a request is read, answered and sent by one thread, and half-sent
requests hold up nobody. One thread always goes on reading and sending, when all others are at
work on requests. Another looks after what nothing is told of: connections that idle or drip,
and the end. No TLS here; a proxy in front has that.
"""

from __future__ import annotations

import logging
import os
import resource
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from waitress.adjustments import Adjustments
from waitress.proxy_headers import proxy_headers_middleware

from api.connection import WHEN_IT_SENDS, Connection
from api.settings import MAX_BODY_KIB, THREADS

LOG = logging.getLogger(__name__)
Application = Callable[..., Iterable[bytes]]

BACKLOG = 1024
CONNECTIONS = 10_000
# What a client is slow to take waits in memory up to this, then in a file.
WAITING_BYTES = 4 * 1024**2
LOOK_SECONDS = 1.0
STOPPING_LOOK_SECONDS = 0.02
LAST_JOIN_SECONDS = 0.1
# Room above the largest body the API takes, so that the API's own words refuse it.
MAX_BODY_BYTES = MAX_BODY_KIB * 1024 + 65536


class _Door:
    """A listening socket, and what the connections that it lets in know of their server."""

    def __init__(
        self,
        application: Application,
        sock: socket.socket,
        poll: select.epoll,
        connections: dict[int, Connection],
    ) -> None:
        self.adj = _adjustments(sock)
        self.application = application
        self.active_channels = connections
        self.poll = poll
        self.server_name = self.adj.server_name
        self.effective_port = sock.getsockname()[1]
        self.stopping = False
        self._socket = sock
        self._turn = threading.Lock()
        self._limit = _connections()
        sock.setblocking(False)
        sock.listen(BACKLOG)
        poll.register(sock, WHEN_IT_SENDS)

    def add_task(self, connection: Connection) -> None:
        """Nothing: the thread that reads a request takes it to the desk."""

    def pull_trigger(self) -> None:
        """Nothing: the thread that writes an answer sends it."""

    def let_in(self) -> None:
        """Let in all who wait, then wait for the kernel; for ``watch`` if that is not possible."""
        with self._turn:
            while not self.stopping and len(self.active_channels) < self._limit:
                try:
                    sock, address = self._socket.accept()
                except BlockingIOError:
                    self.poll.modify(self._socket, WHEN_IT_SENDS)
                    return
                except ConnectionError:
                    continue
                except OSError as error:
                    LOG.warning("connections wait: none can be accepted (%s)", error)
                    return
                self._begin(sock, address)

    def _begin(self, sock: socket.socket, address: object) -> None:
        try:
            for option in self.adj.socket_options:
                sock.setsockopt(*option)
            Connection(self, sock, address)
        except OSError as error:
            LOG.warning("a connection is not served: %s", error)
            sock.close()

    def watch(self) -> None:
        """Wait for the kernel again, where there was no room or no descriptor left."""
        with self._turn:
            if not self.stopping:
                self.poll.modify(self._socket, WHEN_IT_SENDS)

    def close(self) -> None:
        """Let nobody in any more."""
        with self._turn:
            self.stopping = True
            self.poll.unregister(self._socket)
            self._socket.close()


class _Desk:
    """Where requests are worked on, by as many threads as there are places, and wait for that."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Connection] = deque()
        self._lock = threading.Lock()

    def come(self, connection: Connection) -> Connection | None:
        """Whom to answer now: None where all places are taken, and the connection waits."""
        with self._lock:
            if self._free:
                self._free -= 1
                return connection
            self._waiting.append(connection)
            return None

    def leave(self) -> Connection | None:
        """Whom to answer next, at the place that is left: None gives it up."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._free += 1
            return None


class ApiServer:
    """A WSGI application on listening sockets, which may be in other network namespaces."""

    def __init__(
        self,
        app: Application,
        sockets: Sequence[socket.socket],
        threads: int = THREADS,
        *,
        patience: float = 30,
    ) -> None:
        """``threads`` work on requests. They may come in as slowly as they like for ``patience``
        seconds.
        """
        self._app = proxy_headers_middleware(app, clear_untrusted=True)
        self._patience = patience
        self._sockets = list(sockets)
        self._doors: dict[int, _Door] = {}
        self._connections: dict[int, Connection] = {}
        self._desk = _Desk(threads)
        # One more than may work: it accepts, reads and sends whatever the others are at.
        self._workers = [
            threading.Thread(target=self._work, name=f"api-server-{number}", daemon=True)
            for number in range(threads + 1)
        ]
        self._keeper = threading.Thread(target=self._run, name="api-server", daemon=True)
        self._stop = threading.Event()
        self._deadline: float | None = None
        self._ended = False

    def start(self) -> None:
        """Answer requests until ``stop``. The sockets are this server's from now on."""
        self._poll = select.epoll()
        # Told of for ever once it is written to: every worker wakes.
        self._end = os.eventfd(0)
        self._poll.register(self._end, select.EPOLLIN)
        for sock in self._sockets:
            self._doors[sock.fileno()] = _Door(self._app, sock, self._poll, self._connections)
        for thread in (*self._workers, self._keeper):
            thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Accept no more, answer what is under way, close everything else.

        Returns within ``timeout`` seconds; what is not answered by then is cut off.
        """
        if not self._doors or self._deadline is not None:
            return
        self._deadline = time.monotonic() + timeout * 0.8
        self._stop.set()
        self._keeper.join(timeout)

    def _work(self) -> None:
        while not self._ended:
            for number, told in self._poll.poll(maxevents=1):
                if (door := self._doors.get(number)) is not None:
                    door.let_in()
                elif (connection := self._connections.get(number)) is not None:
                    self._serve(connection, told)

    def _serve(self, connection: Connection, told: int) -> None:
        if not connection.take_turn(told):
            return
        answering = self._desk.come(connection)
        while answering is not None:
            answering.answer()
            answering = self._desk.leave()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            for connection in list(self._connections.values()):
                connection.look_after(self._patience)
            for door in self._doors.values():
                door.watch()
        for door in self._doors.values():
            door.close()
        self._finish(self._deadline or 0)
        self._ended = True
        os.eventfd_write(self._end, 1)
        end = time.monotonic() + LAST_JOIN_SECONDS
        for worker in self._workers:
            worker.join(max(0, end - time.monotonic()))
        if not any(worker.is_alive() for worker in self._workers):
            self._poll.close()
            os.close(self._end)

    def _finish(self, deadline: float) -> None:
        """Until nothing is under way, or the time is over."""
        while self._connections:
            for connection in list(self._connections.values()):
                connection.close_if_idle()
            if not self._connections:
                return
            if time.monotonic() >= deadline:
                break
            time.sleep(STOPPING_LOOK_SECONDS)
        if self._connections:
            LOG.warning("%d request(s) were cut off by the stop", len(self._connections))
        for connection in list(self._connections.values()):
            connection.cut()


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket, for ``ApiServer``. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _adjustments(sock: socket.socket) -> Adjustments:
    return Adjustments(
        sockets=[sock],
        max_request_body_size=MAX_BODY_BYTES,
        outbuf_overflow=WAITING_BYTES,
        # A thread that waits for a client to take more would be one thread less.
        outbuf_high_watermark=sys.maxsize,
        ident=None,
    )


def _connections() -> int:
    """As many as may be open at a time: descriptors are needed for other things too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else min(CONNECTIONS, soft // 2)
