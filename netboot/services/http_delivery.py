"""Sends one HTTP response over a non-blocking socket: head, then bytes or a file.

Files go by sendfile(2), a piece at each turn of the event loop, so that one fast
client does not hold up the others; memory does not grow with clients or files.
"""

from __future__ import annotations

import asyncio
import os
import socket
from time import monotonic

PIECE = 1 << 20


class Stalled(Exception):
    """The client took nothing for too long."""


class Delivery:
    """One response on its way; ``sent`` counts the octets of the body handed over."""

    def __init__(self, sock: socket.socket, stall_seconds: float) -> None:
        self.sent = 0
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._stall = stall_seconds
        self._head = memoryview(b"")
        self._data = memoryview(b"")
        self._fd = -1
        self._offset = 0
        self._left = 0
        self._moved = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def send(
        self, head: bytes, data: memoryview | None, fd: int, start: int, length: int
    ) -> None:
        """Send the head, then ``data`` or ``length`` octets of ``fd`` from ``start``.

        Raises OSError when the client is gone or the file became shorter, Stalled
        when nothing moved for the time given.
        """
        self._head = memoryview(head)
        self._data = data if data is not None else memoryview(b"")
        self._fd, self._offset, self._left = fd, start, 0 if data is not None else length
        self._moved = monotonic()
        if self._left:
            # The head and the pieces of the file shall fill whole segments.
            self._cork(True)
        # Twice, for the head and for a file that is small.
        if not (self._push() or self._push()):
            await self._rest_of_it()
        if fd >= 0:
            self._cork(False)

    def _cork(self, on: bool) -> None:
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)

    async def _rest_of_it(self) -> None:
        self._timer = self._loop.call_later(self._stall, self._check)
        self._loop.add_writer(self._sock, self._writable)
        try:
            await self._done
        finally:
            self._loop.remove_writer(self._sock)
            self._timer.cancel()

    def _writable(self) -> None:
        try:
            if self._push() and not self._done.done():
                self._done.set_result(None)
        except OSError as error:
            if not self._done.done():
                self._done.set_exception(error)

    def _check(self) -> None:
        if self._done.done():
            return
        quiet = monotonic() - self._moved
        if quiet >= self._stall:
            self._done.set_exception(Stalled(f"nothing taken for {quiet:.0f} s"))
        else:
            self._timer = self._loop.call_later(self._stall - quiet, self._check)

    def _push(self) -> bool:
        """Hand over what the socket takes, one piece of a file at most; true at the end."""
        try:
            if self._head or self._data:
                self._push_memory()
            elif self._left:
                self._push_file()
        except BlockingIOError:
            return False
        self._moved = monotonic()
        return not (self._head or self._data or self._left)

    def _push_memory(self) -> None:
        count = self._sock.sendmsg([self._head, self._data[:PIECE]])
        of_head = min(count, len(self._head))
        self._head = self._head[of_head:]
        self._data = self._data[count - of_head :]
        self.sent += count - of_head

    def _push_file(self) -> None:
        count = os.sendfile(self._sock.fileno(), self._fd, self._offset, min(self._left, PIECE))
        if not count:
            raise OSError("the file became shorter while it was sent")
        self._offset += count
        self._left -= count
        self.sent += count
