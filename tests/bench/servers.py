"""Servers under measurement: our own service as a process, any other by its URL and pids.

What they use is read from /proc, so a peer in any language is measured alike.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """Where it answers, and which processes it is (none known: its CPU is not told)."""

    name: str
    host: str
    port: int
    pids: Callable[[], list[int]]

    def cpu(self) -> float:
        """CPU seconds that its processes have used so far."""
        return sum(map(_cpu, self.pids()))

    def memory(self) -> float:
        """Resident MB of all its processes."""
        return sum(map(_resident, self.pids()))


def peer(url: str, pids_command: str | None) -> Server:
    """A server that runs already. The command prints a line per process that ends in its pid."""
    parts = urlsplit(url)

    def pids() -> list[int]:
        if pids_command is None:
            return []
        told = subprocess.run(shlex.split(pids_command), capture_output=True, text=True, check=True)
        return [int(line.split()[-1]) for line in told.stdout.splitlines() if line.strip()]

    return Server("peer", parts.hostname or "127.0.0.1", parts.port or 80, pids)


@contextmanager
def ours(state_dir: Path | None = None, config: str = "") -> Iterator[Server]:
    """``drophammer serve`` with API and conductor, on a free port, until the block ends.

    ``config`` is what its configuration file says.
    """
    with tempfile.TemporaryDirectory() as folder:
        state = state_dir or Path(folder)
        port = _free_port()
        file = Path(folder) / "service.conf"
        file.write_text(config)
        command = [sys.executable, "-m", "embedded", "serve", "--no-netboot"]
        command += ["--state-dir", str(state), "--listen", f"127.0.0.1:{port}"]
        command += ["--config-file", str(file)]
        command += ["--log-file", str(Path(folder) / "service.log")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}/v1/drivers", process)
            yield Server("ours", "127.0.0.1", port, lambda: [process.pid])
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until its conductor has told which drivers it has."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if b"fake-hardware" in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the service did not come up: {shlex.join(map(str, process.args))}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cpu(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
