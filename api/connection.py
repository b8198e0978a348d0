"""One client's connection, and what is done whenever its socket has something to tell.

At most one thread has it at a time: the kernel tells of a socket once, and again when
whoever was told has asked for it (EPOLLONESHOT). Nothing here waits for the client: what it
does not take at once is kept. Whose the threads are is in ``server.py``.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel

from api.exchange import Answer, Parser, Refusal, TooSlow

LOG = logging.getLogger(__name__)

# What a request must bring on average, once the patience with it is over.
BYTES_PER_SECOND = 8192
IDLE_SECONDS = 60
# Of errors and of the other side's leaving the kernel tells in any case.
WHEN_IT_SENDS = select.EPOLLIN | select.EPOLLONESHOT
WHEN_IT_TAKES = select.EPOLLOUT | select.EPOLLONESHOT


class Server(Protocol):
    """What a connection, and waitress in it, must know of whoever accepted it.

    ``active_channels`` are the open connections by the numbers of their sockets; ``stopping``:
    nothing is to begin any more.
    """

    adj: Adjustments
    application: Callable[..., Any]
    active_channels: dict[int, Connection]
    poll: select.epoll
    server_name: str
    effective_port: int
    stopping: bool

    def add_task(self, connection: Connection) -> None:
        """waitress has read a request."""

    def pull_trigger(self) -> None:
        """waitress has written something."""


class Connection(HTTPChannel):  # type: ignore[misc]
    """waitress' channel without its loop: threads do by turns what there is to do."""

    parser_class = Parser
    task_class = Answer
    error_task_class = Refusal
    request: Any = None
    # Who gets the connection when the header of the last response is out.
    heir: Callable[[socket.socket], None] | None = None
    _began = 0.0

    def __init__(self, server: Server, sock: socket.socket, address: Any) -> None:
        # Held by the thread that has the connection.
        self._turn = threading.Lock()
        with self._turn:
            super().__init__(server, sock, address, server.adj, map=server.active_channels)
            server.poll.register(sock, WHEN_IT_SENDS)

    def take_turn(self, told: int) -> bool:
        """Read and send what can be; whether a request is to be answered now, by ``answer``."""
        with self._turn:
            if not self.connected:
                return False
            try:
                if told & ~select.EPOLLOUT:
                    self._read()
                self._send()
                if self.requests and not self.total_outbufs_len:
                    return True
                self._wait()
            except Exception:
                self._give_up()
        return False

    def answer(self) -> None:
        """Work on one request: a client that sends many at once gets in line for each."""
        with self._turn:
            if not self.connected:
                return
            try:
                self._answer()
            except Exception:
                self._give_up()

    def look_after(self, patience: float) -> None:
        """Close it when nothing goes on, refuse a request that comes in too slowly."""
        self._between_turns(lambda: self._check(patience))

    def close_if_idle(self) -> None:
        """Close it unless a request is worked on, or an answer is on its way."""
        self._between_turns(lambda: None if self._busy else self.handle_close())

    def cut(self) -> None:
        """End it, whatever it is at. A thread that works for it finds the client gone."""
        if not self._between_turns(self.handle_close):
            self.socket.shutdown(socket.SHUT_RDWR)

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began = time.monotonic()
        return bool(super().received(data))

    def send_whole(self, header: bytes, body: bytes) -> None:
        """Send an answer from where it lies; only what the client does not take is copied."""
        sent = 0
        if self.connected and not self.total_outbufs_len:
            try:
                sent = self.socket.sendmsg((header, body))
            except BlockingIOError:
                pass
            except OSError as error:
                raise ClientDisconnected from error
        if sent < len(header):
            self.write_soon(header[sent:])
        if sent < len(header) + len(body):
            self.write_soon(memoryview(body)[max(0, sent - len(header)) :])

    def handle_close(self) -> None:
        if self.heir is not None and self.connected and not self.total_outbufs_len:
            heir, self.heir = self.heir, None
            heir(self.socket.dup())
        super().handle_close()

    def del_channel(self, map: dict[int, Any] | None = None) -> None:
        # Closing is not enough where an heir has the connection too.
        self.server.poll.unregister(self._fileno)
        super().del_channel(map)

    @property
    def _busy(self) -> bool:
        return bool(self.requests or self.total_outbufs_len)

    def _between_turns(self, action: Callable[[], None]) -> bool:
        """Do something unless a thread has the connection; whether it was free."""
        free = self._turn.acquire(blocking=False)
        if free:
            try:
                if self.connected:
                    action()
            except Exception:
                self._give_up()
            finally:
                self._turn.release()
        return free

    def _give_up(self) -> None:
        LOG.exception("a connection is closed after a failure of the server")
        self.handle_close()

    def _read(self) -> None:
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return  # It was told of a connection that had this number before.
        except OSError:
            data = b""
        if data:
            self.last_activity = time.time()
            self.received(data)
        else:
            self.handle_close()

    def _answer(self) -> None:
        self.service()
        self._send()
        self._wait()

    def _wait(self) -> None:
        """Let the kernel tell when there is more to do."""
        if not self.connected:
            return
        if self.server.stopping and not self._busy:
            self.handle_close()
            return
        self.server.poll.modify(self._fileno, WHEN_IT_TAKES if self._busy else WHEN_IT_SENDS)

    def _send(self) -> None:
        if self.connected and self.writable():
            self.handle_write()

    def _check(self, patience: float) -> None:
        if not self.requests and self.last_activity < time.time() - IDLE_SECONDS:
            self.handle_close()
        elif self._too_slow(patience):
            self._refuse(TooSlow(f"it took longer than {patience:g} s and was too slow"))
            self._answer()

    def _too_slow(self, patience: float) -> bool:
        request = self.request
        late = time.monotonic() - self._began - patience
        if request is None or self.requests or self.close_when_flushed or late <= 0:
            return False
        came = request.header_bytes_received + request.body_bytes_received
        # What has come and is not read yet is late because of us: we stood still, or are busy.
        return bool(came <= late * BYTES_PER_SECOND) and not self._more_has_come()

    def _more_has_come(self) -> bool:
        poll = select.poll()
        poll.register(self._fileno, select.POLLIN)
        return bool(poll.poll(0))

    def _refuse(self, error: TooSlow) -> None:
        request, self.request = self.request, None
        if not request.headers_finished:
            # Without a first line there is nothing to answer to.
            request.parse_header(b"GET / HTTP/1.0\r\n")
        request.error = error
        request.completed = True
        self.requests.append(request)
