"""Two conductors as processes on one store, a BMC and an agent that count what they hear."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drophammer.model import Base, Node, Port, new_uuid
from drophammer.store import Store
from tests import databases
from tests.patience import PATIENCE

_PROGRAM = Path(__file__).with_name("conductor_process.py")
# Long enough for a beat that is late on a busy machine.
LEASE_SECONDS = 2.0
# What every conductor writes by the clock, whether it has work or not.
_BY_THE_CLOCK = ("conductors",)


class Conductor:
    """One conductor process."""

    def __init__(self, url: str, host: str, log: Path, **settings: Any) -> None:
        self.log = log
        self._url = url
        self._output = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), url, host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
        )
        self._converse(
            {
                "lease_seconds": LEASE_SECONDS,
                "heartbeat_interval": 0.2,
                "sweep_interval": 0.2,
                "workers": 4,
                **settings,
            }
        )

    def _converse(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        return json.loads(line)

    def call(self, method: str, **arguments: Any) -> None:
        assert self._converse({"method": method, **arguments}) == {"error": None}

    def stop(self, *, children: bool) -> None:
        """Freeze it, with the processes that speak IPMI for it or without.

        Not within a transaction: a server would end one whose client is silent, while
        sqlite lets it keep everybody out.
        """
        os.kill(self._process.pid, signal.SIGSTOP)
        while self._is_writing():
            os.kill(self._process.pid, signal.SIGCONT)
            time.sleep(0.002)
            os.kill(self._process.pid, signal.SIGSTOP)
        for pid in self._children() if children else ():
            os.kill(pid, signal.SIGSTOP)

    def _is_writing(self) -> bool:
        if not self._url.startswith("sqlite"):
            return False
        connection = sqlite3.connect(
            self._url.removeprefix("sqlite:///"), timeout=0, isolation_level=None
        )
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        finally:
            connection.close()
        return False

    def go_on(self) -> None:
        for pid in [*self._children(), self._process.pid]:
            os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        self.go_on()
        self._process.kill()
        self._process.communicate()
        self._output.close()

    def _children(self) -> list[int]:
        path = Path(f"/proc/{self._process.pid}/task")
        texts = [(task / "children").read_text() for task in path.iterdir()]
        return [int(child) for text in texts for child in text.split()]


class Place:
    """The store that conductors share, seen by the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        databases.made(folder / "drophammer.sqlite")
        self.url = databases.url_of(folder / "drophammer.sqlite")
        self.store = Store(self.url)
        self.store.migrate()
        self.started: list[Conductor] = []

    def conductor(self, host: str, **settings: Any) -> Conductor:
        log = self._folder / f"conductor-{len(self.started)}.log"
        self.started.append(Conductor(self.url, host, log, **settings))
        return self.started[-1]

    def node(self, **fields: Any) -> int:
        with self.store.write() as session:
            node = Node(uuid=new_uuid(), created_at=self.store.clock.now(), **fields)
            session.add(node)
            session.flush()
            session.add(
                Port(
                    uuid=new_uuid(),
                    node_id=node.id,
                    address=f"52:54:00:00:01:{node.id:02x}",
                    created_at=self.store.clock.now(),
                )
            )
            return node.id

    def until(self, node_id: int, wanted: Callable[[Node], bool]) -> Node:
        end = time.monotonic() + PATIENCE
        while True:
            with self.store.read() as session:
                node = session.get_one(Node, node_id)
            if wanted(node):
                return node
            assert time.monotonic() < end, (
                f"{node.provision_state}, {node.target_power_state}, {node.lease_host}, "
                f"{node.lease_purpose}: {node.last_error}"
            )
            time.sleep(0.01)

    def contents(self) -> dict[str, list[Any]]:
        """Every row of every table but those that conductors write by the clock."""
        with self.store.read() as session:
            return {
                table.name: sorted(map(repr, session.execute(table.select())))
                for table in Base.metadata.sorted_tables
                if table.name not in _BY_THE_CLOCK
            }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for conductor in place.started:
        conductor.end()
    place.store.close()
