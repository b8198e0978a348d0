"""The command API: HTTP (over TLS where there is a certificate) for the conductor only.

Translates requests into calls of ``jobs.Jobs``. A thread per connection, in which
the TLS handshake happens too, so that a silent peer holds up nobody; the number
of connections, the size of a body and every silence are bounded, and no body is
read before the token was right.
"""

from __future__ import annotations

import array
import fcntl
import hmac
import json
import socket
import socketserver
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from agent import AGENT_VERSION
from agent.console import say
from agent.errors import AgentError, BodyTooLarge, InvalidCommand, NotFound, Unauthorized

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from agent.jobs import Job, Jobs

    Json = dict[str, Any]

MAX_CONNECTIONS = 64
HANDSHAKE_SECONDS = 10.0
SILENCE_SECONDS = 60.0
_DRAIN_SECONDS, _DRAIN_SILENCE_SECONDS = 10.0, 0.5
_SMALLEST_BODY_LIMIT = 8 << 20


class CommandServer(socketserver.ThreadingTCPServer):
    """Serves ``jobs`` on ``host``:``port`` (0 picks one) once ``serve_in_thread`` is called."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        jobs: Jobs,
        token: str,
        context: ssl.SSLContext | None,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self.jobs, self.token, self.context = jobs, token, context
        self.started_at = time.time()
        self._handshake_seconds = handshake_seconds
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if host == "::" and not _has_ipv6():
            host = "0.0.0.0"
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Listen on IPv4 as well when the address is the IPv6 wildcard."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def serve_in_thread(self) -> None:
        """Begin to answer."""
        threading.Thread(
            target=self.serve_forever, args=(0.1,), name="command-api", daemon=True
        ).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread, or drop it when too many are open."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The connection's thread: handshake, then requests until the peer is gone."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """TLS handshake in the connection's own thread, then the HTTP handler."""
        if self.context is None:
            request.settimeout(SILENCE_SECONDS)
            super().finish_request(request, client_address)
            return
        request.settimeout(self._handshake_seconds)
        with self.context.wrap_socket(request, server_side=True) as wrapped:
            wrapped.settimeout(SILENCE_SECONDS)
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the peer's matter; one line, no traceback."""
        import sys

        error = sys.exc_info()[1]
        say(f"command-api: connection of {client_address[0]} ended: {type(error).__name__}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "drophammer-agent"
    sys_version = ""
    server: CommandServer
    wbufsize = -1
    _body_waits = False

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        # The request line holds the token; commands are logged where they are run.
        pass

    def _answer(self, work: Callable[[list[str], dict[str, str]], tuple[Json, Job | None]]) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        parts = [part for part in url.path.split("/") if part]
        if parts[:1] == ["v1"]:
            parts = parts[1:]
        self._body_waits = self.headers.get("Content-Length", "0") != "0"
        job = None
        try:
            body, job = work(parts, query)
            status = 200
        except AgentError as error:
            status, body = error.code, _fault(error)
        try:
            self._send(status, body)
        finally:
            if job:
                _drain(self.connection.fileno())
                job.replied.set()

    def _get(self, parts: list[str], query: dict[str, str]) -> tuple[Json, Job | None]:
        if not parts:
            return self._links(), None
        if parts == ["status"]:
            return {"started_at": self.server.started_at, "version": AGENT_VERSION}, None
        if parts[0] == "commands" and len(parts) <= 2:
            self._check_token(query)
            jobs = self.server.jobs
            if len(parts) == 1:
                return {"commands": [job.as_wire() for job in jobs.all()]}, None
            job = jobs.get(parts[1])
            if _is_true(query.get("wait")):
                job.ended.wait()
            return job.as_wire(), job
        raise NotFound(f"there is nothing at /{'/'.join(parts)}")

    def _post(self, parts: list[str], query: dict[str, str]) -> tuple[Json, Job | None]:
        if parts != ["commands"]:
            raise NotFound(f"nothing can be posted to /{'/'.join(parts)}")
        self._check_token(query)
        body = self._body()
        if "name" not in body or "params" not in body:
            raise InvalidCommand("a command needs name and params")
        job = self.server.jobs.start(body["name"], body["params"])
        if _is_true(query.get("wait")):
            job.ended.wait()
        return job.as_wire(), job

    def _check_token(self, query: dict[str, str]) -> None:
        given = query.get("agent_token", "")
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise Unauthorized("Token invalid.")

    def _body(self) -> Json:
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit()):
            raise InvalidCommand("the request has no proper Content-Length")
        limit = body_limit()
        if int(text) > limit:
            raise BodyTooLarge(f"a body of {text} bytes is beyond this machine's {limit}")
        data = self.rfile.read(int(text))
        self._body_waits = False
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise InvalidCommand("the request body is not JSON") from None
        if not isinstance(body, dict):
            raise InvalidCommand("the request body is not a JSON object")
        return body

    def _links(self) -> Json:
        scheme = "https" if self.server.context else "http"
        base = f"{scheme}://{self.headers.get('Host', 'localhost')}"
        links = [{"rel": "self", "href": f"{base}/v1/"}]
        version = {"id": "v1", "links": links}
        return {
            "name": "Drophammer ramdisk agent",
            "id": "v1",
            "links": links,
            "versions": [version],
            "default_version": version,
            "commands": [{"rel": "self", "href": f"{base}/v1/commands/"}],
        }

    def _send(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self._body_waits:
            # What was not read would be taken for the next request.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()
        if self._body_waits:
            self._drain()

    def _drain(self) -> None:
        """Read and drop the refused body for a short while.

        Closing with unread bytes resets the connection, and the peer would then lose
        the answer that tells why.
        """
        self.connection.settimeout(_DRAIN_SILENCE_SECONDS)
        deadline, buffer = time.monotonic() + _DRAIN_SECONDS, bytearray(65536)
        try:
            while time.monotonic() < deadline and self.connection.recv_into(buffer):
                pass
        except OSError:
            pass


def _has_ipv6() -> bool:
    # A kernel started with ipv6.disable=1 has the family compiled in and refuses it.
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def body_limit(meminfo: str = "/proc/meminfo") -> int:
    """How many bytes of JSON are taken: a quarter of the free memory, 8 MiB at least.

    A config drive may come with a command, and parsing takes a few times its size.
    """
    with open(meminfo, encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return max(_SMALLEST_BODY_LIMIT, int(line.split()[1]) * 1024 // 4)
    return _SMALLEST_BODY_LIMIT


def _fault(error: AgentError) -> Json:
    code = "Client" if error.code < 500 else "Server"
    return {"faultcode": code, "faultstring": error.message, **error.as_wire()}


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1", "yes", "on")


def _drain(descriptor: int) -> None:
    """Wait until the peer has what was sent, or half a second.

    The machine may be turned off right after a reply; what is still in the
    kernel's buffers (SIOCOUTQ counts it, tcp(7)) would then never arrive.
    """
    left = array.array("i", [1])
    for _ in range(100):
        try:
            fcntl.ioctl(descriptor, termios.TIOCOUTQ, left)
        except OSError:
            return
        if left[0] == 0:
            return
        time.sleep(0.005)
