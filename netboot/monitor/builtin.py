"""A service that is a part of this process: one of the servers on the event loop."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from drophammer.errors import DrophammerError
from netboot.binding import Binding, host
from netboot.loop import LoopThread
from netboot.monitor.service import DEAD, OFF, ON, PROCESS, RUNNING, Actual, Expected, Restarted

GRACE_SECONDS = 1.0


class Server(Protocol):
    """What runs on the loop; the sockets it was made with are its own."""

    @property
    def load(self) -> str:
        """How much it does at this moment, for people."""

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...


class BuiltIn(Restarted):
    """A ``Managed``. ``make`` makes the server for a bound socket; ``port`` 0 takes a free one."""

    unit = None
    managed_by = PROCESS

    def __init__(
        self,
        name: str,
        expected: Expected,
        binding: Binding,
        port: int,
        make: Callable[[socket.socket], Server],
        loop: LoopThread,
        loggers: Sequence[str],
    ) -> None:
        super().__init__()
        self.name = name
        self.loggers = loggers
        self.port = port
        self._expected = expected
        self._binding = binding
        self._make = make
        self._loop = loop
        self._socket: socket.socket | None = None
        self.server: Server | None = None
        self._failure = ""

    @property
    def wanted(self) -> bool:
        """Whether it should run."""
        return self._expected.state == ON

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        kind = "tcp" if self._binding.kind == socket.SOCK_STREAM else "udp"
        return f"{host(self._binding.address)}:{self.port}/{kind}"

    @property
    def state(self) -> str:
        """Whether it runs and how busy it is, for people."""
        if self.server is None:
            return self._failure or "switched off"
        return f"running, {self.server.load}"

    def watch(self, changed: Callable[[], None]) -> None:
        """It ends when this process does, or is told to."""

    def expected(self) -> Expected:
        return self._expected

    def actual(self) -> Actual:
        if self.server is not None:
            if self._loop.alive:
                return Actual(RUNNING, f"answers on {self.address}", os.getpid())
            return Actual(DEAD, "the event loop of netboot has ended")
        return Actual(DEAD, self._failure) if self._failure else Actual(OFF)

    def open(self) -> None:
        """Take the port, and answer nobody yet. Raises Unavailable."""
        with self._changing:
            if self.wanted and self._socket is None and self.server is None:
                self._socket = self._binding.open(self.port)
                self.port = self._socket.getsockname()[1]

    def ensure(self) -> None:
        with self._changing:
            if not self.wanted or self.server is not None:
                return
            try:
                self.open()
                self._begin()
            except DrophammerError as error:
                self._failure = error.message
                raise
            self._failure = ""

    def stop(self) -> None:
        with self._changing:
            server, self.server = self.server, None
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            if server is not None and self._loop.alive:
                self._loop.run(server.stop(GRACE_SECONDS), 2 * GRACE_SECONDS)

    def _begin(self) -> None:
        door, self._socket = self._socket, None
        assert door is not None
        server = self._make(door)
        self._loop.run(server.start())
        self.server = server
