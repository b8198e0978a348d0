"""Serves the API from a thread of this process: waitress, with a stop of our own.

waitress reads requests in one loop and works on them in others, so half-sent
requests hold up nobody; those that drip in too slowly are refused here. It has no
public way to stop: its loop runs until its map of sockets is empty, so ours empties
it, first of what is idle, then, as answers go out, of the rest. No TLS here; a proxy
in front has that.
"""

from __future__ import annotations

import json
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from api.settings import MAX_BODY_KIB, TAKE_OVER, THREADS

LOG = logging.getLogger(__name__)

BACKLOG = 1024
IDLE_SECONDS = 60
CLEANUP_SECONDS = 10
CONNECTIONS = 10_000
SMALL_BYTES = 65536
# What a client is slow to take waits in memory up to this, then in a file.
WAITING_BYTES = 4 * 1024**2
LOOP_SECONDS = 1.0
# What a request must bring on average, once the patience with it is over.
BYTES_PER_SECOND = 8192
STOPPING_LOOP_SECONDS = 0.02
# Room above the largest body the API takes, so that the API's own words refuse it.
MAX_BODY_BYTES = MAX_BODY_KIB * 1024 + 65536


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Takes no request whose length is told in two ways: a proxy may have read it otherwise."""

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.error is not None:
            # Or the client is asked for a body that nobody is going to read.
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        # waitress takes the header away where it understood it.
        coded = self.chunked or "TRANSFER_ENCODING" in self.headers
        if coded and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding together")


class _Refusal(ErrorTask):  # type: ignore[misc]
    """What is refused before it reaches the application, in the shape of the API's body guard."""

    def execute(self) -> None:
        error = self.request.error
        code = "Client" if error.code < 500 else "Server"
        fault = {"faultcode": code, "faultstring": f"{error.reason}: {error.body}"}
        body = json.dumps(fault).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _TooSlow(Error):  # type: ignore[misc]
    code = 408
    reason = "Request Timeout"


class _Answer(WSGITask):  # type: ignore[misc]
    """Sends header and body together when the body is one small piece, as most are."""

    wrote_header: bool = False

    @property
    def has_body(self) -> bool:
        """Not here, if whoever takes the connection over is to write it: its end is the body's."""
        return self.channel.heir is None and super().has_body

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[TAKE_OVER] = self._take_over
        return environ

    def _take_over(self, heir: Callable[[socket.socket], None]) -> None:
        self.channel.heir = heir

    def write(self, data: bytes) -> None:
        whole = self.complete and not self.wrote_header and self.content_length == len(data)
        if not whole or not self.has_body or len(data) > SMALL_BYTES:
            super().write(data)
            return
        header = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written = len(data)
        self.channel.write_soon(header + data)


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    task_class = _Answer
    error_task_class = _Refusal
    request: Any = None
    # Who gets the connection when the header of the last response is out.
    heir: Callable[[socket.socket], None] | None = None
    _began = 0.0

    def writable(self) -> bool:
        """Whether the loop is to send. Not while a worker does: it holds the lock, and the
        loop would find the socket ready and the lock taken over and over, with all the time
        that the workers need.
        """
        waiting = self.total_outbufs_len
        if self.requests and not self.will_close and waiting <= self.adj.outbuf_high_watermark:
            return False
        return bool(super().writable())

    def handle_close(self) -> None:
        if self.heir is not None and self.connected and not self.total_outbufs_len:
            heir, self.heir = self.heir, None
            heir(self.socket.dup())
        super().handle_close()

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began = time.monotonic()
        return bool(super().received(data))

    def check_pace(self, patience: float) -> None:
        """Refuse the request that is being received when it comes in too slowly."""
        late = time.monotonic() - self._began - patience
        with self.requests_lock:
            request = self.request
            if request is None or self.requests or self.close_when_flushed or late <= 0:
                return
            if request.header_bytes_received + request.body_bytes_received > late * (
                BYTES_PER_SECOND
            ):
                return
            if not request.headers_finished:
                # Without a first line there is nothing to answer to.
                request.parse_header(b"GET / HTTP/1.0\r\n")
            request.error = _TooSlow(f"it took longer than {patience:g} s and was too slow")
            request.completed = True
            self.request = None
            self.requests.append(request)
            self.server.add_task(self)


class ApiServer:
    """A WSGI application on listening sockets, which may be in other network namespaces."""

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        sockets: Sequence[socket.socket],
        threads: int = THREADS,
        *,
        patience: float = 30,
    ) -> None:
        """``patience``: seconds for which a request may come in as slowly as it likes."""
        self._app = app
        self._patience = patience
        self._sockets = list(sockets)
        self._threads = threads
        self._map: dict[int, Any] = {}
        self._server: Any = None
        self._loop = threading.Thread(target=self._run, name="api-server", daemon=True)
        self._deadline: float | None = None

    def start(self) -> None:
        """Answer requests until ``stop``. The sockets are this server's from now on."""
        # A line per burst of requests says nothing an operator could act upon.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server = create_server(
            self._app,
            map=self._map,
            sockets=self._sockets,
            threads=self._threads,
            backlog=BACKLOG,
            connection_limit=_connections(),
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=CLEANUP_SECONDS,
            max_request_body_size=MAX_BODY_BYTES,
            outbuf_overflow=WAITING_BYTES,
            asyncore_use_poll=True,
            asyncore_loop_timeout=LOOP_SECONDS,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        for listener in self._listeners():
            listener.channel_class = _Channel
        self._loop.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Accept no more, answer what is under way, close everything else.

        Returns within ``timeout`` seconds; what is not answered by then is cut off.
        """
        if self._server is None or self._deadline is not None:
            return
        self._deadline = time.monotonic() + timeout * 0.8
        self._wake()
        self._loop.join(timeout)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=0.1)
        # Last, because threads that have just finished still pull the loop's triggers.
        wasyncore.close_all(self._map)

    def _run(self) -> None:
        look_again = 0.0
        while self._deadline is None:
            wasyncore.loop(timeout=LOOP_SECONDS, use_poll=True, map=self._map, count=1)
            if time.monotonic() >= look_again:
                look_again = time.monotonic() + LOOP_SECONDS
                for channel in self._channels():
                    channel.check_pace(self._patience)
        for listener in self._listeners():
            # Not its close(): that takes the trigger too, which wakes us for each answer.
            wasyncore.dispatcher.close(listener)
        while self._busy() and time.monotonic() < self._deadline:
            wasyncore.loop(timeout=STOPPING_LOOP_SECONDS, use_poll=True, map=self._map, count=1)
        unanswered = len(self._channels())
        if unanswered:
            LOG.warning("%d request(s) were cut off by the stop", unanswered)
        for channel in self._channels():
            channel.handle_close()

    def _busy(self) -> bool:
        """Close the channels that have nothing under way; tell whether any have."""
        for channel in self._channels():
            if not channel.requests and not channel.total_outbufs_len:
                channel.handle_close()
        return bool(self._channels())

    def _channels(self) -> list[_Channel]:
        return [entry for entry in list(self._map.values()) if isinstance(entry, _Channel)]

    def _listeners(self) -> list[BaseWSGIServer]:
        return [entry for entry in list(self._map.values()) if isinstance(entry, BaseWSGIServer)]

    def _wake(self) -> None:
        for listener in self._listeners():
            listener.pull_trigger()
            return


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


def _connections() -> int:
    """As many as may be open at a time: descriptors are needed for other things too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else min(CONNECTIONS, soft // 2)
