"""A small HTTP/1.1 client (RFC 9112) over plain sockets and TLS.

Its own, because ``http.client`` pulls in the e-mail package, which costs a good
part of a second on a slow machine's way to its first call, and because image
bytes should land in the caller's buffer without a copy between. One request per
connection; no cookies, no compression, no authentication logic.
"""

from __future__ import annotations

import socket

from agent.errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_MAX_HEAD = 65536
_MAX_REDIRECTS = 5
_RECEIVE_BUFFER = 4 << 20


class HttpError(AgentError):
    """The connection failed, or what came back is not HTTP. Trying again may help."""


class Url:
    """``scheme``, ``host``, ``port`` and ``target`` (path and query) of an http(s) URL."""

    def __init__(self, text: str) -> None:
        scheme, separator, rest = text.partition("://")
        self.scheme = scheme.lower()
        if not separator or self.scheme not in ("http", "https"):
            raise HttpError(f"{without_credentials(text)!r} is not an http or https URL")
        cut = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
        authority, target = rest[:cut], rest[cut:].partition("#")[0]
        self.host, port = _host_and_port(authority.rpartition("@")[2], text)
        self.port = port or (443 if self.scheme == "https" else 80)
        self.target = target if target.startswith("/") else "/" + target
        if not self.host or any(c <= " " for c in text):
            raise HttpError(f"{without_credentials(text)!r} is not a usable URL")

    @property
    def authority(self) -> str:
        """What belongs into the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (80, 443) else f"{host}:{self.port}"

    def joined(self, location: str) -> str:
        """The absolute form of a redirect's ``location``."""
        if "://" in location:
            return location
        if location.startswith("//"):
            return f"{self.scheme}:{location}"
        base = f"{self.scheme}://{self.authority}"
        if location.startswith("/"):
            return base + location
        return base + self.target.partition("?")[0].rpartition("/")[0] + "/" + location


def without_credentials(url: str) -> str:
    """The URL without user, password and query: these may be secrets (signed URLs)."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("/")
    return scheme + separator + authority.rpartition("@")[2] + slash + path


def _host_and_port(authority: str, url: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise HttpError(f"the port in {without_credentials(url)!r} is not a port")
    return host, int(port or 0)


class Response:
    """A status, headers (names in lower case) and a body that is read once. Close it."""

    def __init__(self, sock: socket.socket, head: bytes, rest: bytes, method: str) -> None:
        self._socket = sock
        self._rest = memoryview(rest)
        self.status, self.headers = _parse_head(head)
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self.length = None if self._chunked else _length(self.headers)
        if method == "HEAD" or self.status in (204, 304):
            self._chunked, self.length = False, 0
        # Bytes still to come: of the body, or of the current chunk; None is "until the end".
        self._left = 0 if self._chunked else self.length
        self._first_chunk, self._ended = True, False

    def readinto(self, view: memoryview) -> int:
        """Some bytes of the body into ``view``; 0 at its end.

        Raises HttpError when the connection breaks, or ends before the body does.
        """
        if self._chunked and self._left == 0 and not self._ended:
            self._next_chunk()
        if self._ended or self._left == 0:
            return 0
        count = self._receive(view if self._left is None else view[: self._left])
        if count == 0 and self._left is not None:
            raise HttpError(f"the connection ended {self._left} bytes before the body did")
        if self._left is None:
            self._ended = count == 0
        else:
            self._left -= count
        return count

    def read(self, limit: int) -> bytes:
        """The whole body; raises HttpError when it is longer than ``limit`` bytes."""
        body, buffer = bytearray(), bytearray(65536)
        while count := self.readinto(memoryview(buffer)):
            body += buffer[:count]
            if len(body) > limit:
                raise HttpError(f"the answer is longer than {limit} bytes")
        return bytes(body)

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self, view: memoryview) -> int:
        if self._rest:
            count = min(len(view), len(self._rest))
            view[:count] = self._rest[:count]
            self._rest = self._rest[count:]
            return count
        try:
            return self._socket.recv_into(view)
        except OSError as error:
            raise HttpError(f"the connection broke: {error}") from error

    def _line(self) -> bytes:
        line, one = bytearray(), bytearray(1)
        while not line.endswith(b"\n"):
            if self._receive(memoryview(one)) == 0 or len(line) > 1024:
                raise HttpError("a chunk of the answer has no proper size line")
            line += one
        return bytes(line.strip())

    def _next_chunk(self) -> None:
        if not self._first_chunk:
            self._line()
        self._first_chunk = False
        size = self._line().partition(b";")[0]
        try:
            self._left = int(size, 16)
        except ValueError:
            raise HttpError("a chunk of the answer has no proper size") from None
        self._ended = self._left == 0


def _length(headers: dict[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise HttpError(f"the answer has the bad content length {text!r}")
    return int(text)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        raise HttpError(f"the answer begins with {lines[0][:80]!r}, which is not HTTP/1.1")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


def open_url(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 30,
    insecure: bool = False,
    proxy: str = "",
) -> Response:
    """Send one request and return the response with its body unread.

    ``timeout`` is for the connection and for each silence after it. ``proxy`` is
    an http URL. Redirects are followed for GET and HEAD, without handing an
    Authorization header to another host. Raises HttpError.
    """
    sent = dict(headers or {})
    origin = Url(url).authority
    for _ in range(_MAX_REDIRECTS + 1):
        parsed = Url(url)
        if parsed.authority != origin:
            sent.pop("Authorization", None)
        response = _one_request(parsed, method, sent, body, timeout, insecure, proxy)
        location = response.headers.get("location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return response
        response.close()
        if method not in ("GET", "HEAD"):
            raise HttpError(f"{without_credentials(url)} redirects a {method}, which is not done")
        url = parsed.joined(location)
    raise HttpError(f"{without_credentials(url)} redirects for ever")


def _one_request(
    url: Url,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    timeout: float,
    insecure: bool,
    proxy: str,
) -> Response:
    through_proxy = bool(proxy) and url.scheme == "http"
    target = f"http://{url.authority}{url.target}" if through_proxy else url.target
    lines = [f"{method} {target} HTTP/1.1", f"Host: {url.authority}", "Connection: close"]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise HttpError("a header value holds a line break")
    sock = _connect(url, timeout, insecure, proxy)
    try:
        sock.sendall("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)
        return Response(sock, *_read_head(sock), method)
    except OSError as error:
        sock.close()
        raise HttpError(f"{url.authority} did not answer: {error}") from error
    except BaseException:
        sock.close()
        raise


def _connect(url: Url, timeout: float, insecure: bool, proxy: str) -> socket.socket:
    first = Url(proxy) if proxy else url
    try:
        sock = socket.create_connection((first.host, first.port), timeout)
    except OSError as error:
        raise HttpError(f"no connection to {first.authority}: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if url.scheme == "http":
            return sock
        if proxy:
            _open_tunnel(sock, url)
        return _tls_context(insecure).wrap_socket(sock, server_hostname=url.host)
    except OSError as error:
        sock.close()
        raise HttpError(f"no TLS connection to {url.authority}: {error}") from error
    except BaseException:
        sock.close()
        raise


def _open_tunnel(sock: socket.socket, url: Url) -> None:
    host = f"[{url.host}]" if ":" in url.host else url.host
    ask = f"CONNECT {host}:{url.port} HTTP/1.1\r\nHost: {host}:{url.port}\r\n\r\n"
    sock.sendall(ask.encode("latin-1"))
    head, _ = _read_head(sock)
    status, _ = _parse_head(head)
    if status != 200:
        raise HttpError(f"the proxy refused a tunnel to {url.authority} with status {status}")


def _tls_context(insecure: bool) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """The head of an answer without its blank line, and what was read beyond it."""
    data = bytearray()
    while True:
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            head, rest = bytes(data[:end]), bytes(data[end + 4 :])
            if not head.startswith(b"HTTP/1.1 100"):
                return head, rest
            data = bytearray(rest)
            continue
        if len(data) > _MAX_HEAD:
            raise HttpError("the answer's header is too long")
        piece = sock.recv(65536)
        if not piece:
            raise HttpError("the connection ended before an answer came")
        data += piece
