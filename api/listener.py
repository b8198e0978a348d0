"""One client of the event stream: a socket, what it wants, and what it has not taken yet.

Never blocks. What an event looks like and where events come from is not known here.
"""

from __future__ import annotations

import json
import socket
import time
from collections import deque

from drophammer.events import Wanted

# What a client may be behind with what happens now; the rest it finds by the last id it saw.
BACKLOG_BYTES = 1024 * 1024
PIECES = 64
# How long the last words to a client may take.
LAST_WORDS_SECONDS = 10.0


class Listener:
    """``position``: the id of the last event that it has, or is about to be sent."""

    def __init__(self, sock: socket.socket, wanted: Wanted, position: int) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.wanted = wanted
        self.position = position
        self.ends_by: float | None = None
        self._pieces: deque[memoryview] = deque()
        self._waiting = 0
        self._moved = time.monotonic()

    @property
    def idle(self) -> bool:
        """Whether it has taken all that it was sent."""
        return not self._pieces

    @property
    def ending(self) -> bool:
        """Whether it has been told its last words."""
        return self.ends_by is not None

    def stalled(self, now: float, patience: float) -> bool:
        """Whether it has had enough time, to take anything at all or its last words."""
        if self.ends_by is not None and now >= self.ends_by:
            return True
        return bool(self._pieces) and now - self._moved > patience

    def offer(self, data: bytes) -> None:
        """Send, or keep for when it takes more; with too much kept, its last words."""
        if self.ending or not data:
            return
        if self._waiting + len(data) > BACKLOG_BYTES and self._pieces:
            self.end("Events come faster than they are read here; go on from the last id.")
            return
        self._keep(data)

    def end(self, reason: str) -> None:
        """Say why there is no more, at the end of the event that it is being sent."""
        if self.ending:
            return
        first = self._pieces[0] if self._pieces else None
        self._pieces.clear()
        self._waiting = 0
        # An event of which part is gone already is sent whole.
        if first is not None:
            self._keep(first)
        self._keep(f"event: end\ndata: {json.dumps({'reason': reason})}\n\n".encode())
        self.ends_by = time.monotonic() + LAST_WORDS_SECONDS

    def push(self) -> None:
        """Hand over what the socket takes. Raises OSError when the client is gone."""
        while self._pieces:
            try:
                sent = self.sock.sendmsg([self._pieces[at] for at in range(self._next_pieces())])
            except BlockingIOError:
                return
            self._moved = time.monotonic()
            self._waiting -= sent
            self._drop(sent)

    def gone(self) -> bool:
        """Read what the client says, which is of no interest, to see whether it is there."""
        try:
            return self.sock.recv(4096) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """End the connection."""
        self.sock.close()

    def _keep(self, data: bytes | memoryview) -> None:
        if not self._pieces:
            self._moved = time.monotonic()
        self._pieces.append(memoryview(data))
        self._waiting += len(data)

    def _next_pieces(self) -> int:
        return min(len(self._pieces), PIECES)

    def _drop(self, sent: int) -> None:
        while sent:
            first = self._pieces[0]
            if sent < len(first):
                self._pieces[0] = first[sent:]
                return
            sent -= len(first)
            self._pieces.popleft()
