"""Virtual BMCs as processes, dead addresses, and a pool whose children are gone afterwards."""

from __future__ import annotations

import json
import random
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from conductor.ipmi.pool import IpmiPool
from conductor.ipmi.target import BmcTarget
from drophammer.secret import Secret
from tests.patience import until

T = TypeVar("T")
_PROGRAM = Path(__file__).with_name("bmc_process.py")


def done_within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` returns: it takes no longer, unless the machine stands still meanwhile."""

    def quick() -> tuple[T] | None:
        began = time.monotonic()
        done = work()
        return (done,) if time.monotonic() - began < seconds else None

    return until(quick, lambda: f"it takes more than {seconds} s each time")[0]


class VirtualBmc:
    """A BMC process; ``tell`` changes its settings, ``report`` says what it has seen."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port: int = self._converse(self._settings)["port"]

    def _converse(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def tell(self, **settings: Any) -> None:
        self._converse(settings)

    def wait_for(self, netfn: int, command: int) -> None:
        assert self._converse({"wait_for": [netfn, command]})["arrived"]

    def report(self) -> Any:
        return self._converse({"report": True})

    @property
    def commands(self) -> list[tuple[int, int, str]]:
        return [tuple(command) for command in self.report()["commands"]]

    def restart(self) -> None:
        """A BMC that comes back at the same address and knows of no session."""
        self.stop()
        self._settings["port"] = self.port
        self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def target(self, **changes: Any) -> BmcTarget:
        values = {
            "address": self._settings.get("address", "127.0.0.1"),
            "port": self.port,
            "username": "admin",
            "password": Secret("secret"),
        }
        return BmcTarget(**{**values, **changes})


@pytest.fixture
def start_bmc() -> Iterator[Callable[..., VirtualBmc]]:
    started: list[VirtualBmc] = []

    def start(**settings: Any) -> VirtualBmc:
        started.append(VirtualBmc(settings))
        return started[-1]

    yield start
    for bmc in started:
        bmc.stop()


@pytest.fixture
def bmc(start_bmc: Callable[..., VirtualBmc]) -> VirtualBmc:
    return start_bmc()


@pytest.fixture
def pool() -> Iterator[IpmiPool]:
    with IpmiPool() as pool:
        yield pool


@pytest.fixture
def dead_target() -> Iterator[Callable[[], BmcTarget]]:
    """Targets whose packets arrive and are never answered."""
    sockets: list[socket.socket] = []

    def make() -> BmcTarget:
        sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sockets[-1].bind(("127.0.0.1", 0))
        port = sockets[-1].getsockname()[1]
        return BmcTarget("127.0.0.1", port, "admin", Secret("dead-secret"))

    yield make
    for sock in sockets:
        sock.close()


@pytest.fixture
def babbling_target() -> Iterator[Callable[[bytes], BmcTarget]]:
    """Targets that answer every packet with the given head and random bytes of any length."""

    def babble(sock: socket.socket, head: bytes, chance: random.Random) -> None:
        while True:
            data, client = sock.recvfrom(3000)
            if not data:
                return
            for _ in range(20):
                sock.sendto(head + chance.randbytes(chance.randrange(80)), client)

    def make(head: bytes) -> BmcTarget:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=babble, args=(sock, head, random.Random(1)))
        thread.start()
        babblers.append((sock, thread))
        return BmcTarget("127.0.0.1", sock.getsockname()[1], "admin", Secret("secret"))

    babblers: list[tuple[socket.socket, threading.Thread]] = []
    yield make
    for sock, thread in babblers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", sock.getsockname())
        thread.join()
        sock.close()


@pytest.fixture
def lossy_port() -> Iterator[Callable[[int], int]]:
    """Ports that pass packets on to the given one, but every seventh packet gets lost."""
    relays: list[tuple[socket.socket, socket.socket, threading.Thread]] = []

    def relay(near: socket.socket, far: socket.socket) -> None:
        client, count = None, 0
        while True:
            for sock in select.select([near, far], [], [])[0]:
                data, sender = sock.recvfrom(3000)
                if not data:
                    return
                count += 1
                if sock is near:
                    client = sender
                if count % 7 == 0:
                    continue
                if sock is near:
                    far.send(data)
                else:
                    near.sendto(data, client)

    def make(port: int) -> int:
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        near.bind(("127.0.0.1", 0))
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.connect(("127.0.0.1", port))
        relays.append((near, far, threading.Thread(target=relay, args=(near, far))))
        relays[-1][2].start()
        return int(near.getsockname()[1])

    yield make
    for near, far, thread in relays:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", near.getsockname())
        thread.join()
        near.close()
        far.close()


@pytest.fixture
def make_closed_target() -> Callable[[], BmcTarget]:
    """Targets whose host answers that nobody listens."""

    def make() -> BmcTarget:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        return BmcTarget("127.0.0.1", port, "admin", Secret("closed-secret"))

    return make


@pytest.fixture
def closed_target(make_closed_target: Callable[[], BmcTarget]) -> BmcTarget:
    return make_closed_target()
