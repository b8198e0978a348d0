"""One TFTP read request from the datagram to its last acknowledgement or refusal.

Asks the source, agrees on the options, opens the sockets and runs the transfer, and
tells the observer. Which requests become sessions is the server's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from time import monotonic

from drophammer.errors import Forbidden, Invalid, NotFound, Unavailable
from netboot.content import (
    Observer,
    Opened,
    Request,
    Source,
    clean_path,
    ip_text,
    notify,
    open_content,
)
from netboot.refusals import Refusals
from netboot.services import tftp_packet as packet
from netboot.services.tftp_blocks import Blocks, File, Memory, to_netascii
from netboot.services.tftp_options import Limits, negotiate
from netboot.services.tftp_poll import Poll
from netboot.services.tftp_sockets import (
    Datagram,
    MakeSocket,
    StrangerGuard,
    connect_back,
    send_from,
)
from netboot.services.tftp_transfer import Outcome, Transfer

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0


@dataclass(frozen=True)
class Service:
    """What all sessions of a server share; ``inbox`` is scratch memory."""

    source: Source
    make_socket: MakeSocket
    observer: Observer
    limits: Limits
    inbox: bytearray
    poll: Poll
    refusals: Refusals


class Session:
    """Serves one read request in a task of its own, which begins at once.

    Raises Forbidden for a path that leads upwards.
    """

    def __init__(
        self, service: Service, door: socket.socket, datagram: Datagram, asked: packet.Asked
    ) -> None:
        self._service = service
        self._door = door
        self._datagram = datagram
        self._asked = asked
        self._path = clean_path(asked.filename)
        self._transfer: Transfer | None = None
        self._cancelled = "cancelled"
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def is_repeated_by(self, asked: packet.Asked) -> bool:
        """Whether ``asked`` is this request sent again, and not a machine that starts over.

        The same request of a client which has since acknowledged something is a
        datagram that came late, unless the client has been silent for a while.
        """
        if asked != self._asked:
            return False
        transfer = self._transfer
        return transfer is None or not transfer.answered or transfer.silence() < RESTART_SECONDS

    @property
    def is_idle(self) -> bool:
        """Whether the client has never answered, and had its time to."""
        transfer, pause = self._transfer, self._service.limits.retry_seconds
        return transfer is not None and not transfer.answered and transfer.silence() > pause

    def repeat(self) -> None:
        """The client asked again: what we last sent may be lost."""
        if self._transfer is not None:
            self._transfer.repeat_first()

    def end(self, text: str, *, tell: bool) -> None:
        """End now with this outcome, telling the client or not."""
        if self._transfer is not None:
            self._transfer.end(text, tell=packet.NOT_DEFINED if tell else None)
            return
        self._cancelled = text
        self.task.cancel()
        if tell:
            self._refuse(packet.NOT_DEFINED, text)

    async def _serve(self) -> None:
        """The one place where the failures of a request are caught and answered."""
        begun = monotonic()
        request = self._request()
        observer = self._service.observer
        outcome = Outcome(0, 0, self._cancelled)
        notify(observer.started, request)
        try:
            outcome = await self._answer(request)
        except asyncio.CancelledError:
            outcome = Outcome(0, 0, self._cancelled)
            raise
        except Exception as error:  # the edge: whatever happened, the machine gets an answer
            refusals = self._service.refusals
            refusal = refusals.of(error, request)
            refusals.refused(request, refusal.why)
            outcome = Outcome(0, 0, f"refused: {refusal.why}")
            self._refuse(_error_code(error), refusal.told)
        finally:
            seconds = monotonic() - begun
            notify(
                observer.finished,
                *(request, outcome.sent, outcome.total, seconds, outcome.text),
            )

    def _request(self) -> Request:
        client, local = ip_text(self._datagram.client), ip_text(self._datagram.local)
        return Request("tftp", self._path, client, local)

    async def _answer(self, request: Request) -> Outcome:
        limits = self._service.limits
        opened = await open_content(self._service.source, request, limits.open_seconds)
        with contextlib.closing(opened):
            if self._asked.mode == "netascii":
                opened = await _as_text(opened, limits.max_netascii)
            sock = self._connect()
            self._transfer = self._prepare(opened, sock)
        guard = self._guard(sock)
        try:
            outcome = await self._transfer.run()
        finally:
            if guard is not None:
                guard.close()
        log.debug("TFTP %r to %s: %s", request.path, request.client, outcome.text)
        return outcome

    def _connect(self) -> socket.socket:
        try:
            return connect_back(self._service.make_socket, self._door.family, self._datagram)
        except OSError as error:
            raise Unavailable(f"There is no socket for the transfer: {error.strerror}.") from None

    def _prepare(self, opened: Opened, sock: socket.socket) -> Transfer:
        limits = self._service.limits
        ipv6 = sock.family == socket.AF_INET6
        terms = negotiate(self._asked.options, limits, opened.size, ipv6=ipv6)
        store = Memory(opened.data) if opened.data is not None else File(opened.give_fd())
        blocks = Blocks(store, opened.size, terms.blksize, terms.windowsize)
        return Transfer(sock, blocks, terms, limits, self._service.poll, self._service.inbox)

    def _guard(self, sock: socket.socket) -> StrangerGuard | None:
        try:
            return StrangerGuard(self._service.poll, self._service.make_socket, sock)
        except OSError:
            # Out of descriptors: strangers get no error 5, but the machine boots.
            return None

    def _refuse(self, code: int, message: str) -> None:
        send_from(self._door, packet.error(code, message), self._datagram)


def _error_code(error: Exception) -> int:
    if isinstance(error, NotFound):
        return packet.NOT_FOUND
    return packet.ACCESS if isinstance(error, Forbidden) else packet.NOT_DEFINED


async def _as_text(opened: Opened, largest: int) -> Opened:
    """The content in netascii; raises Invalid for files too large to convert in memory."""
    if opened.size > largest:
        raise Invalid("This file is too large for mode netascii; ask for octet.")
    data = opened.data
    if data is None:
        size = opened.size
        # Shielded, so that the thread always runs and closes the descriptor it was given.
        data = await asyncio.shield(
            asyncio.get_running_loop().run_in_executor(None, _read, opened.give_fd(), size)
        )
    text = to_netascii(data)
    return Opened(len(text), opened.media_type, data=text)


def _read(fd: int, size: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read(size)
