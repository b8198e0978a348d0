"""Servers under measurement: our own service as a process, any other by its URL and pids.

What they use is read from /proc, so a peer in any language is measured alike.
"""

from __future__ import annotations

import configparser
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

from cluster.lending import free_ports
from cluster.topology import Cluster, Plan

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60
# From the first port of a cluster to its last.
CLUSTER_PORTS = 64


@dataclass(frozen=True)
class Server:
    """Where it answers, and which processes it is (none known: its CPU is not told).

    ``database`` is its URL, for whoever fills it beforehand.
    """

    name: str
    host: str
    port: int
    pids: Callable[[], list[int]]
    database: str = ""

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
            await_drivers(f"http://127.0.0.1:{port}/v1/drivers", process)
            url = f"sqlite:///{state}/drophammer.sqlite"
            yield Server("ours", "127.0.0.1", port, lambda: [process.pid], url)
        finally:
            process.terminate()
            process.wait(20)


def settings(config: str) -> dict[str, dict[str, object]]:
    """The options of a configuration file's text, by group."""
    told = configparser.ConfigParser(interpolation=None)
    told.read_string(config)
    return {group: dict(told[group]) for group in told.sections()}


@contextmanager
def spread(
    database: str, conductors: int, config: str = "", *, together: int = 0
) -> Iterator[Server]:
    """One API and some conductors on RabbitMQ and that database, all started for it.

    ``together``: so many processes instead of the API, behind HAProxy, with both in each.

    The CPU and memory of the engines are nobody's: another server uses its own.
    """
    options = settings(config)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(
            Plan(
                Path(folder),
                free_ports(CLUSTER_PORTS),
                together or 1,
                conductors,
                database,
                options=options,
                together=together,
            )
        )
        try:
            cluster.start()
            roles = [one for one in cluster.roles if one.roles != "netboot"]
            port = cluster.balancer.port if together else roles[0].port
            await_drivers(f"http://127.0.0.1:{port}/v1/drivers")
            url = cluster.database.url
            yield Server(
                "ours", "127.0.0.1", port, lambda: [one.pid for one in roles if one.pid], url
            )
        finally:
            cluster.stop()


def await_drivers(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until a conductor has told which drivers it has."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and (process is None or process.poll() is None):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if b"fake-hardware" in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the service did not come up: nothing at {url}")


def _free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cpu(pid: int) -> float:
    try:
        return _used(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # It was listed and has ended since: somebody's helper.


def _used(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
