"""A running TFTP or HTTP server in a thread of its own, and a TFTP client to ask it.

The servers are the real ones over loopback sockets. Tests get classes as fixtures,
since test modules do not import each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netboot.content import Request, Source, StaticFiles
from netboot.services.http import HttpServer
from netboot.services.http_connection import Limits as HttpLimits
from netboot.services.tftp import TftpServer
from netboot.services.tftp_options import Limits as TftpLimits
from netboot.services.tftp_poll import PollLoop
from tests.patience import PATIENCE

DATA, ACK, ERROR, OACK = 3, 4, 5, 6


class LoopThread:
    """An event loop in a thread, stopped and closed at the end."""

    def __init__(self) -> None:
        self.loop = PollLoop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="server-loop")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def close(self) -> None:
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Recorder:
    """An observer that remembers, and lets a test wait for the end of a transfer."""

    begun: list[Request] = field(default_factory=list)
    ended: list[tuple[Request, int, int, float, str]] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def started(self, request: Request) -> None:
        with self._more:
            self.begun.append(request)
            self._more.notify_all()

    def finished(
        self, request: Request, sent: int, total: int, seconds: float, outcome: str
    ) -> None:
        with self._more:
            self.ended.append((request, sent, total, seconds, outcome))
            self._more.notify_all()

    def wait_begun(self, count: int = 1) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.begun) >= count, PATIENCE)

    def wait(self, count: int = 1) -> list[str]:
        """The outcomes, once there are ``count`` of them."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.ended) >= count, PATIENCE)
            return [outcome for *_, outcome in self.ended]


@dataclass
class Running:
    """A server, where it listens, and what its observer saw."""

    server: Any
    address: Any
    seen: Recorder
    thread: LoopThread

    @property
    def port(self) -> int:
        return int(self.address[1])

    def settle(self) -> None:
        """Let the server finish what follows the call of its observer."""
        for _ in range(3):
            self.thread.run(asyncio.sleep(0))

    def stop(self, grace: float = 0.0) -> None:
        self.thread.run(self.server.stop(grace))


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of boot files, with things beside it that must not be reached."""
    (tmp_path / "secret").write_text("out of reach")
    tree = tmp_path / "tree"
    (tree / "grub").mkdir(parents=True)
    (tree / "boot.cfg").write_bytes(b"set timeout=3\n" * 200)
    (tree / "grub" / "grub.cfg").write_bytes(b"menuentry one\n")
    (tree / "empty").write_bytes(b"")
    (tree / "kernel").write_bytes(random.Random(7).randbytes(200_000))
    return tree


def bound(kind: int, host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, 0))
    return sock


@pytest.fixture
def start_tftp(loop_thread: LoopThread, root: Path) -> Iterator[Callable[..., Running]]:
    """Start a TFTP server; keywords beyond those named are its limits.

    It sends nothing again and gives nobody up unless a test says when: a client that is held up
    for a second would otherwise be sent what it does not expect.
    """
    with contextlib.ExitStack() as stack:

        def start(
            source: Source | None = None,
            *,
            host: str = "127.0.0.1",
            make_socket: Callable[[int, int], socket.socket] = socket.socket,
            observer: Any = None,
            retry_seconds: float = 2 * PATIENCE,
            patience_seconds: float = 2 * PATIENCE,
            **limits: Any,
        ) -> Running:
            door = bound(socket.SOCK_DGRAM, host)
            address = door.getsockname()
            seen = Recorder()
            server = TftpServer(
                source or StaticFiles(root),
                sockets=[door],
                make_socket=make_socket,
                observer=observer or seen,
                limits=TftpLimits(
                    retry_seconds=retry_seconds, patience_seconds=patience_seconds, **limits
                ),
            )
            loop_thread.run(server.start())
            stack.callback(lambda: loop_thread.run(server.stop(0.0)))
            return Running(server, address, seen, loop_thread)

        yield start


@pytest.fixture
def start_http(loop_thread: LoopThread, root: Path) -> Iterator[Callable[..., Running]]:
    """Start an HTTP server; keywords beyond those named are its limits."""
    with contextlib.ExitStack() as stack:

        def start(
            source: Source | None = None,
            *,
            host: str = "127.0.0.1",
            observer: Any = None,
            **limits: Any,
        ) -> Running:
            door = bound(socket.SOCK_STREAM, host)
            address = door.getsockname()
            seen = Recorder()
            server = HttpServer(
                source or StaticFiles(root),
                sockets=[door],
                observer=observer or seen,
                limits=HttpLimits(**limits),
            )
            loop_thread.run(server.start())
            stack.callback(lambda: loop_thread.run(server.stop(0.0)))
            return Running(server, address, seen, loop_thread)

        yield start


class TftpError(Exception):
    """An ERROR packet, with its code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class TftpClient:
    """A TFTP client that can misbehave: send raw packets, lose some, stop in between."""

    def __init__(self, server: Any, *, loss: float = 0.0, seed: int = 1) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.settimeout(PATIENCE)
        self.server = server[:2]
        self.peer: Any = None
        self._loss = loss
        self._chance = random.Random(seed).random

    def __enter__(self) -> TftpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, name: str, *, mode: str = "octet", pad: bytes = b"", **options: object) -> None:
        parts = [name, mode]
        for option, value in options.items():
            parts += [option, str(value)]
        self.raw(b"\0\1" + b"\0".join(part.encode() for part in parts) + b"\0" + pad)

    def raw(self, packet: bytes) -> None:
        self.sock.sendto(packet, self.server)

    def receive(self) -> tuple[int, int, bytes]:
        """The next packet: (opcode, block or error code, the rest)."""
        packet, self.peer = self.sock.recvfrom(70000)
        opcode = packet[1]
        if opcode == OACK:
            return opcode, 0, packet[2:]
        return opcode, int.from_bytes(packet[2:4], "big"), packet[4:]

    def nothing_for(self, seconds: float) -> bool:
        """Whether the server keeps silent for so long."""
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.receive()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(before)
        return False

    def ack(self, block: int, pad: bytes = b"") -> None:
        self.sock.sendto(struct.pack("!HH", ACK, block & 0xFFFF) + pad, self.peer)

    def error(self, code: int, text: str = "") -> None:
        self.sock.sendto(struct.pack("!HH", ERROR, code) + text.encode() + b"\0", self.peer)

    def oack(self) -> dict[str, str]:
        """The options of an OACK that is received now."""
        opcode, _, rest = self.receive()
        assert opcode == OACK
        parts = rest.decode().split("\0")
        return dict(zip(parts[:-1:2], parts[1::2], strict=True))

    def refused(self) -> TftpError:
        """The error that is received now."""
        opcode, code, text = self.receive()
        assert opcode == ERROR
        return TftpError(code, text.rstrip(b"\0").decode())

    def fetch(self, name: str, **options: Any) -> bytes:
        """A whole file; raises TftpError."""
        self.ask(name, **options)
        blksize, window, expected, in_window = 512, 1, 1, 0
        told_gap = False
        content = bytearray()
        while True:
            opcode, number, rest = self.receive()
            if opcode == ERROR:
                raise TftpError(number, rest.rstrip(b"\0").decode())
            if self._loss and self._chance() < self._loss:
                continue
            if opcode == OACK:
                parts = rest.decode().split("\0")
                granted = dict(zip(parts[:-1:2], parts[1::2], strict=True))
                blksize = int(granted.get("blksize", 512))
                window = int(granted.get("windowsize", 1))
                self._ack_or_lose(0)
            elif number == expected & 0xFFFF:
                content += rest
                told_gap = False
                in_window += 1
                if len(rest) < blksize:
                    self.ack(expected)
                    return bytes(content)
                if in_window == window:
                    in_window = 0
                    self._ack_or_lose(expected)
                expected += 1
            elif window == 1 or not told_gap:
                told_gap, in_window = True, 0
                self._ack_or_lose(expected - 1)

    def _ack_or_lose(self, block: int) -> None:
        if self._chance() >= self._loss:
            self.ack(block)


@pytest.fixture
def tftp_error() -> type[TftpError]:
    return TftpError


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., TftpClient]]:
    """Make TFTP clients for a running server, closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make(server: Any, **options: Any) -> TftpClient:
            address = server.address if isinstance(server, Running) else server
            return stack.enter_context(TftpClient(address, **options))

        yield make
