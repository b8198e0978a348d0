"""Engines for as long as one command runs: ``python -m cluster with NAMES -- COMMAND``.

They start empty in a folder of their own, on ports of their own, and write to the disk when
they like: for tests. The command learns of them from its environment.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cluster.engine import HOST, Engine
from cluster.mariadb import MariaDB
from cluster.postgresql import PostgreSQL
from cluster.rabbitmq import RabbitMQ
from drophammer.errors import Invalid

NAMES = ("postgresql", "mariadb", "rabbitmq")
DATABASE, BUS = "DROPHAMMER_TEST_DATABASE", "DROPHAMMER_TEST_BUS"
# So many processes may run tests at once, each in a part of the broker of its own.
WORKERS = 16


def run(names: Sequence[str], command: Sequence[str]) -> int:
    """Start the engines, run the command, end the engines. The command's exit code."""
    if not command:
        raise Invalid("Say what to run: python -m cluster with postgresql -- COMMAND")
    signal.signal(signal.SIGTERM, lambda *_: _interrupted())
    with ExitStack() as left:
        folder = Path(left.enter_context(tempfile.TemporaryDirectory(prefix="drophammer-")))
        folder.chmod(0o755)
        added: dict[str, str] = {}
        for name in names:
            engine = _engine(name, folder / name)
            left.callback(engine.stop)
            engine.start()
            added |= _told(engine)
        return subprocess.call(list(command), env={**os.environ, **added})


def _engine(name: str, folder: Path) -> Engine:
    if name == "postgresql":
        return PostgreSQL(folder, free_ports(1), durable=False)
    if name == "mariadb":
        return MariaDB(folder, free_ports(1), durable=False)
    return RabbitMQ(folder, free_ports(3))


def _told(engine: Engine) -> dict[str, str]:
    if isinstance(engine, RabbitMQ):
        engine.divide([f"gw{number}" for number in range(WORKERS)])
        return {BUS: engine.url}
    return {DATABASE: engine.url}


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody listens on."""
    while True:
        first = random.randrange(20000, 32000)
        if all(_is_free(first + number) for number in range(count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _interrupted() -> None:
    raise KeyboardInterrupt
