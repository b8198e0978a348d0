"""A wire to a server that can be cut, and that can go dead without anybody noticing."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Wire:
    """Forwards connections from a port of its own to a server's."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._open = threading.Event()
        self._open.set()
        self._ended = False
        self._refusing = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def freeze(self) -> None:
        """Let nothing through; connections stay."""
        self._open.clear()

    def thaw(self) -> None:
        """Let it through again, what was sent meanwhile too."""
        self._open.set()

    def cut(self) -> None:
        """End all connections, as a server that is killed."""
        for end in list(self._pairs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def refuse(self, *, refusing: bool = True) -> None:
        """Take no connections any more, or take them again."""
        self._refusing = refusing

    def close(self) -> None:
        self._ended = True
        self._open.set()
        self._thread.join()
        for end in (self._listener, *self._pairs):
            end.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(0.05):
                self._open.wait()
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._forward(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self._refusing:
            near.close()
            return
        far = socket.create_connection(self._server)
        self._pairs[near], self._pairs[far] = far, near
        for end in (near, far):
            self._selector.register(end, selectors.EVENT_READ)

    def _forward(self, end: socket.socket) -> None:
        if end not in self._pairs:
            return  # Its other end has just closed.
        try:
            data = end.recv(65536)
            if data:
                self._pairs[end].sendall(data)
                return
        except OSError:
            pass
        other = self._pairs.pop(end)
        self._pairs.pop(other)
        for one in (end, other):
            self._selector.unregister(one)
            one.close()
