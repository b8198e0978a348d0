"""The TFTP server: hears requests on its sockets and makes a session of each.

Read-only, RFC 1350 with options (2347, 2348, 2349, 7440). What a session does is in
tftp_session.py, the packets on their way are in tftp_transfer.py.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Sequence

from drophammer.errors import Forbidden
from netboot.content import Address, Nobody, Observer, Source, ip_text
from netboot.refusals import Refusals
from netboot.services import tftp_packet as packet
from netboot.services.tftp_options import Limits
from netboot.services.tftp_poll import PollLoop
from netboot.services.tftp_session import Service, Session
from netboot.services.tftp_sockets import (
    Datagram,
    MakeSocket,
    prepare_door,
    receive,
    send_from,
)

log = logging.getLogger(__name__)

REQUESTS_PER_TURN = 32  # so that a storm of requests leaves time for the transfers
MODES = ("octet", "netascii")

Key = tuple[Address, Address]


class TftpServer:
    """Serves what ``source`` has over bound UDP ``sockets``.

    The sockets belong to the server from now on, and are closed by ``stop``;
    ``make_socket`` makes those of the transfers, in the same network namespace.
    """

    def __init__(
        self,
        source: Source,
        *,
        sockets: Sequence[socket.socket],
        make_socket: MakeSocket,
        observer: Observer | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._doors = list(sockets)
        self._limits = limits or Limits()
        self._source = source
        self._make_socket = make_socket
        self._observer = observer or Nobody()
        self._sessions: dict[Key, Session] = {}
        self._clients: Counter[str] = Counter()
        self._refusals = Refusals("TFTP", log)

    @property
    def transfers(self) -> int:
        """How many requests are being served at this moment."""
        return len(self._sessions)

    @property
    def load(self) -> str:
        """The same, for people."""
        return f"{self.transfers} transfers"

    async def start(self) -> None:
        """Begin to answer, on a PollLoop. Raises OSError when a socket cannot be used."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PollLoop)
        self._service = Service(
            self._source,
            self._make_socket,
            self._observer,
            self._limits,
            bytearray(packet.MAX_REQUEST),
            loop.poll,
            self._refusals,
        )
        for door in self._doors:
            prepare_door(door)
            loop.add_reader(door, self._drain, door)

    async def stop(self, grace: float = 5.0) -> None:
        """Take no more requests; end what still runs after ``grace`` seconds.

        To stop what is stopped does nothing.
        """
        loop = asyncio.get_running_loop()
        doors, self._doors = self._doors, []
        for door in doors:
            loop.remove_reader(door)
        await self._sessions_over(grace)
        for session in list(self._sessions.values()):
            session.end("the server is stopping", tell=True)
        await self._sessions_over(None)
        for door in doors:
            door.close()

    async def _sessions_over(self, seconds: float | None) -> None:
        tasks = {session.task for session in self._sessions.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def _drain(self, door: socket.socket) -> None:
        for _ in range(REQUESTS_PER_TURN):
            try:
                datagram = receive(door)
            except BlockingIOError:
                return
            except OSError as error:
                # An ICMP message about an earlier answer; the socket is still good.
                log.debug("A TFTP request socket reported: %s", error)
                return
            if datagram is not None:
                self._heard(door, datagram)

    def _heard(self, door: socket.socket, datagram: Datagram) -> None:
        try:
            asked = packet.parse_request(datagram.data)
        except packet.NotARequest:
            return
        except packet.BadPacket as error:
            self._refuse(door, datagram, packet.ILLEGAL, error.message)
            return
        if asked.opcode == packet.WRQ:
            self._refuse(door, datagram, packet.ACCESS, "This server is read-only.")
        elif asked.mode not in MODES:
            self._refuse(door, datagram, packet.ILLEGAL, "Unknown mode; ask for octet.")
        else:
            try:
                self._read_request(door, datagram, asked)
            except Forbidden as error:
                self._refuse(door, datagram, packet.ACCESS, error.message)

    def _read_request(self, door: socket.socket, datagram: Datagram, asked: packet.Asked) -> None:
        key = (datagram.client, datagram.local)
        before = self._sessions.get(key)
        if before is not None:
            if before.is_repeated_by(asked):
                before.repeat()
                return
            # Firmware starts over from the same port, and its abort may have been lost.
            before.end("superseded by a new request", tell=False)
        elif not self._has_room(datagram.client[0]):
            self._refuse(door, datagram, packet.NOT_DEFINED, "Too many transfers; try again soon.")
            return
        session = self._sessions[key] = Session(self._service, door, datagram, asked)
        self._clients[datagram.client[0]] += 1
        session.task.add_done_callback(lambda _: self._forget(key, session))

    def _has_room(self, client: str) -> bool:
        """Room for one more transfer, if need be that of somebody who only asks."""
        if self._clients[client] >= self._limits.max_of_client:
            return False
        if len(self._sessions) < self._limits.max_transfers:
            return True
        for key, session in self._sessions.items():
            if session.is_idle:
                session.end("made room for others", tell=False)
                del self._sessions[key]
                return True
        return False

    def _forget(self, key: Key, session: Session) -> None:
        if self._sessions.get(key) is session:
            del self._sessions[key]
        client = key[0][0]
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    def _refuse(self, door: socket.socket, datagram: Datagram, code: int, message: str) -> None:
        self._refusals.unread(ip_text(datagram.client), message)
        send_from(door, packet.error(code, message), datagram)
