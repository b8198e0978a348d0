"""``drophammer serve`` as its users have it: a process, its output, signals."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.embedded.forked import Command
from tests.patience import PATIENCE


class Served:
    """One running ``drophammer serve``."""

    def __init__(self, process: Command, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""

    def until(self, text: str, seconds: float = PATIENCE) -> str:
        """All output so far, once ``text`` is in it."""
        end = time.monotonic() + seconds
        while text not in self.output:
            left = end - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, left))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert chunk, f"no {text!r} in: {self.output}"
            self.output += chunk.decode()
        return self.output

    def stop(self, number: int = signal.SIGINT) -> float:
        """Signal it and return how many seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - began


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose ports are free ones."""
    path = tmp_path / "drophammer.conf"
    path.write_text(
        f"[netboot]\nhttp_port = {free_port()}\ntftp_port = {free_port(socket.SOCK_DGRAM)}\n"
    )
    return path


@pytest.fixture
def serve(tmp_path: Path, config: Path) -> Iterator[Callable[..., Served]]:
    """Start ``drophammer serve`` with more arguments."""
    started: list[Served] = []

    def start(*arguments: str, listen: str | None = None) -> Served:
        port = free_port()
        process = Command(
            "serve",
            "--config-file",
            str(config),
            "--state-dir",
            str(tmp_path / "state"),
            "--listen",
            listen or f"127.0.0.1:{port}",
            *arguments,
        )
        started.append(Served(process, port))
        return started[-1]

    yield start
    for served in started:
        served.process.close()


@pytest.fixture
def run() -> Callable[..., tuple[int, str, str]]:
    """Run a command to its end: its exit code, output and complaints."""

    def to_its_end(*arguments: str) -> tuple[int, str, str]:
        command = Command(*arguments, stderr_apart=True)
        output, complaint = command.communicate()
        code = command.wait()
        command.close()
        return code, output.decode(), complaint.decode()

    return to_its_end


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Commands that run in this process may set it; the next test's files are not theirs."""
    was = os.umask(0o022)
    os.umask(was)
    yield
    os.umask(was)
