"""One HTTP connection: requests one after another until somebody closes it.

Reads heads with a time limit, asks the source, sends answers, tells the observer.
Accepting connections and limiting their number is the server's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from drophammer.errors import DrophammerError, Unavailable
from netboot.content import (
    COMPLETE,
    PROBED,
    Observer,
    Opened,
    Request,
    Source,
    ip_text,
    notify,
    open_content,
)
from netboot.refusals import Refusals
from netboot.services.http_answer import Answer, answer, head_bytes, refusal_fields
from netboot.services.http_delivery import Delivery, Stalled
from netboot.services.http_request import MAX_HEAD, MAX_TARGET, BadHead, Head, parse_head

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD")
LINGER_SECONDS = 1.0
LINGER_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What the server allows.

    max_connections: at the same time; more get a 503 and are closed.
    max_of_client: of these, from one address: nobody shall take them all.
    head_seconds: for a whole request head, from the connection or its first octet on.
    idle_seconds: how long a connection may rest between requests.
    stall_seconds: how long a client may take nothing of a response.
    open_seconds: how long the source may take to find a file.
    """

    max_connections: int = 1000
    max_of_client: int = 250
    head_seconds: float = 10.0
    idle_seconds: float = 60.0
    stall_seconds: float = 60.0
    open_seconds: float = 10.0


class Connection:
    """Owns a connected, non-blocking socket, and closes it at its end."""

    def __init__(
        self,
        sock: socket.socket,
        source: Source,
        observer: Observer,
        limits: Limits,
        refusals: Refusals,
    ) -> None:
        self._sock = sock
        self._source = source
        self._observer = observer
        self._limits = limits
        self._refusals = refusals
        self._buffer = bytearray()
        self._resting = False
        self._finishing = False

    def finish(self) -> None:
        """Answer what is under way, then close."""
        self._finishing = True
        if self._resting:
            with contextlib.suppress(OSError):
                # Ends the wait for a request, but not one which has already come.
                self._sock.shutdown(socket.SHUT_RD)

    async def run(self) -> None:
        """Serve the connection; what its client does wrong ends it, and nothing else."""
        try:
            client = ip_text(self._sock.getpeername())
            local = ip_text(self._sock.getsockname())
            first = True
            while await self._exchange(client, local, first=first):
                first = False
        except (OSError, Stalled) as error:
            log.debug("An HTTP connection ended: %s", error)
        finally:
            self._sock.close()

    async def _exchange(self, client: str, local: str, *, first: bool) -> bool:
        """One request and its answer; whether the connection goes on."""
        try:
            raw = await self._read_head(first=first)
            if raw is None:
                return False
            head = parse_head(raw)
        except BadHead as error:
            return await self._refuse(_Refused(error.answer, error.message), None)
        if head.method not in METHODS:
            refused = _Refused(405, "This server hands files out: use GET or HEAD.")
            return await self._refuse(refused, None)
        return await self._serve(Request("http", head.path, client, local, head.query), head)

    async def _read_head(self, *, first: bool) -> bytes | None:
        """The next head; None when the client has closed or rested too long."""
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        if not self._buffer:
            seconds = self._limits.head_seconds if first else self._limits.idle_seconds
            if not await self._rest(seconds):
                return None
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                end = await self._receive_head()
        except TimeoutError:
            raise BadHead(408, "The request did not come in time; send it in one go.") from None
        if end < 0:
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return raw

    async def _rest(self, seconds: float) -> bool:
        """Wait for the first octets of a request; false when none came."""
        if self._finishing:
            return False
        self._resting = True
        try:
            async with asyncio.timeout(seconds):
                return await self._receive()
        except TimeoutError:
            return False
        finally:
            self._resting = False

    async def _receive_head(self) -> int:
        """Receive up to the end of the head; returns where it is, -1 when it never comes."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._check_size(len(self._buffer))
            if not await self._receive():
                return -1
        self._check_size(end)
        return end

    def _check_size(self, size: int) -> None:
        if size > MAX_TARGET and self._buffer.find(b"\r\n", 0, MAX_TARGET) < 0:
            raise BadHead(414, f"The URL is longer than {MAX_TARGET} bytes; use a shorter one.")
        if size > MAX_HEAD:
            raise BadHead(431, f"The request head is larger than {MAX_HEAD} bytes.")

    async def _receive(self) -> bool:
        data = await asyncio.get_running_loop().sock_recv(self._sock, MAX_HEAD)
        self._buffer += data
        return bool(data)

    async def _serve(self, request: Request, head: Head) -> bool:
        """Answer a request and tell the observer; whether the connection goes on."""
        begun = monotonic()
        delivery = Delivery(self._sock, self._limits.stall_seconds)
        total, outcome = 0, "the server is stopping"
        notify(self._observer.started, request)
        try:
            with contextlib.closing(await self._open(request)) as opened:
                chosen = self._choose(head, opened)
                total = chosen.length
                keep = await self._deliver(delivery, head, opened, chosen)
            outcome = PROBED if head.method == "HEAD" else COMPLETE
        except _Refused as refused:
            outcome = f"refused: {refused.why}"
            self._refusals.refused(request, refused.why)
            keep = await self._refuse(refused, head)
        except (OSError, Stalled) as error:
            outcome = f"the connection broke: {error}"
            raise
        finally:
            seconds = monotonic() - begun
            notify(self._observer.finished, request, delivery.sent, total, seconds, outcome)
        return keep

    async def _open(self, request: Request) -> Opened:
        try:
            return await open_content(self._source, request, self._limits.open_seconds)
        except Exception as error:  # the edge: whatever happened, the client gets an answer
            refusal = self._refusals.of(error, request)
            raise _Refused(_status(error), refusal.told, why=refusal.why) from None

    @staticmethod
    def _choose(head: Head, opened: Opened) -> Answer:
        chosen = answer(head.fields, opened, ranges=head.method == "GET")
        if chosen.status == 416:
            message = f"The file has {opened.size} bytes; ask for a range within them."
            raise _Refused(416, message, chosen.fields)
        return chosen

    async def _deliver(
        self, delivery: Delivery, head: Head, opened: Opened, chosen: Answer
    ) -> bool:
        """Send an answer with content; whether the connection goes on."""
        keep = head.keep_alive and not self._finishing
        start, length = chosen.start, chosen.length
        text = head_bytes(chosen.status, chosen.fields, length, close=not keep)
        if head.method == "HEAD":
            length = 0
        data = None
        if opened.data is not None:
            data = memoryview(opened.data)[start : start + length]
        await delivery.send(text, data, opened.fd, start, length)
        return keep

    async def _refuse(self, refused: _Refused, head: Head | None) -> bool:
        """Answer with a sentence; ``head`` is None where nothing more can be understood."""
        keep = head is not None and head.keep_alive and not self._finishing
        body = f"{refused.message}\n".encode()
        fields = {**refusal_fields(refused.status), **refused.fields}
        text = head_bytes(refused.status, fields, len(body), close=not keep)
        data = memoryview(b"" if head is not None and head.method == "HEAD" else body)
        await Delivery(self._sock, self._limits.stall_seconds).send(text, data, -1, 0, 0)
        if head is None:
            await self._linger()
        return keep

    async def _linger(self) -> None:
        """Read what is still coming before closing: a reset would swallow our answer."""
        self._sock.shutdown(socket.SHUT_WR)
        loop, left = asyncio.get_running_loop(), LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and (data := await loop.sock_recv(self._sock, 65536)):
                    left -= len(data)


class _Refused(Exception):
    """An answer other than the content asked for."""

    def __init__(
        self,
        status: int,
        message: str,
        fields: Mapping[str, str] | None = None,
        *,
        why: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fields = fields or {}
        self.why = why or message


def _status(error: Exception) -> int:
    """Errors of the request keep their status; ours become 500, or 503 if they may pass."""
    if isinstance(error, DrophammerError) and error.status < 500:
        return error.status
    return 503 if isinstance(error, Unavailable) else 500
