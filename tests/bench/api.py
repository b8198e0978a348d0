"""What a request to the API costs, beside another server of the same API when one is named.

    python -m tests.bench api
    python -m tests.bench api --peer http://127.0.0.1:6386 --peer-pids 'pgrep -f ironic'

Both take turns in every round, so that the machine's noise falls on both. The
figures are the server's CPU per request and what the client waited; the tables
show medians over the rounds.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from tests.bench.client import Client
from tests.bench.servers import Server, ours, peer


@dataclass
class Subject:
    """A server with the nodes it was given, and what was measured on it, by operation."""

    server: Server
    version: str
    nodes: list[str] = field(default_factory=list)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    waited: dict[str, list[float]] = field(default_factory=dict)

    def client(self) -> Client:
        return Client(self.server, self.version)

    def measure(self, name: str, times: int, request: Callable[[Client, int], object]) -> None:
        """``request`` so many times on one connection."""
        waited = self.waited.setdefault(name, [])
        with closing(self.client()) as client:
            request(client, 0)
            before = self.server.cpu()
            for number in range(times):
                began = time.perf_counter()
                request(client, number)
                waited.append((time.perf_counter() - began) * 1000)
            used = self.server.cpu() - before
        self.cpu.setdefault(name, []).append(used / times * 1000)

    def busy(self, name: str, times: int, connections: int) -> None:
        """GETs on several connections at once: what a request costs when the server never rests."""
        waited = self.waited.setdefault(name, [])

        def one(first: int) -> None:
            with closing(self.client()) as client:
                for number in range(first, times, connections):
                    began = time.perf_counter()
                    self.get(client, number)
                    waited.append((time.perf_counter() - began) * 1000)

        threads = [threading.Thread(target=one, args=(first,)) for first in range(connections)]
        before = self.server.cpu()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.cpu.setdefault(name, []).append((self.server.cpu() - before) / times * 1000)

    def create(self, client: Client, number: int) -> None:
        """As a tool enrolls a machine."""
        name = str(uuid.uuid4())
        body = {
            "uuid": name,
            "name": f"bench-{name[:13]}",
            "driver": "fake-hardware",
            "resource_class": "baremetal",
            "properties": {
                "cpu_arch": "x86_64",
                "cpus": 16,
                "memory_mb": 65536,
                "local_gb": 900,
                "capabilities": "boot_mode:uefi",
            },
            "extra": {"rack": f"r{number % 40}", "serial": f"SN{number:09d}"},
        }
        client.ask("POST", "/v1/nodes", body)
        self.nodes.append(name)

    def get(self, client: Client, number: int) -> None:
        client.ask("GET", f"/v1/nodes/{self._node(number)}")

    def patch(self, client: Client, number: int) -> None:
        step = {"op": "add", "path": "/extra/bench", "value": time.time()}
        client.ask("PATCH", f"/v1/nodes/{self._node(number)}", [step])

    def _node(self, number: int) -> str:
        return self.nodes[number * 7 % len(self.nodes)]


def list_of(path: str, expected: int) -> Callable[[Client, int], None]:
    """A page of so many nodes."""

    def request(client: Client, _number: int) -> None:
        # Counted, not parsed: the client's own work is not what is measured.
        found = client.ask("GET", path).count(b'"uuid"')
        if found != expected:
            raise SystemExit(f"{path}: {found} nodes, not {expected}")

    return request


def crowd(subject: Subject, connections: int, each: int) -> None:
    """So many connections at once, each with some requests: was anybody forgotten?"""
    together = threading.Barrier(connections)
    waited: list[float] = []
    failed: list[str] = []

    def one(number: int) -> None:
        with closing(subject.client()) as client:
            together.wait()
            for turn in range(each):
                began = time.perf_counter()
                try:
                    subject.get(client, number + turn)
                except (OSError, http.client.HTTPException, SystemExit) as error:
                    failed.append(repr(error))
                waited.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    answered = len(waited) - len(failed)
    print(
        f"{subject.server.name:<5} {connections} connections at once: {answered} of {len(waited)} "
        f"answered in {seconds:.1f} s ({answered / seconds:.0f}/s), longest wait "
        f"{max(waited):.0f} ms" + (f"; first failure: {failed[0]}" if failed else "")
    )


def measured(subjects: list[Subject], options: argparse.Namespace) -> None:
    """All operations, the servers by turns."""
    turns = itertools.cycle((subjects, subjects[::-1]))
    per_round = -(-options.nodes // options.rounds)
    for _, order in zip(range(options.rounds), turns, strict=False):
        for subject in order:
            subject.measure("create", per_round, subject.create)
    full = f"limit={options.nodes}"
    for _, order in zip(range(options.rounds), turns, strict=False):
        for subject in order:
            subject.measure("GET one", options.gets, subject.get)
            subject.busy("GET, 8 busy", options.gets, 8)
            subject.measure("PATCH one", options.patches, subject.patch)
            subject.measure("list", options.lists, list_of(f"/v1/nodes?{full}", options.nodes))
            detail = list_of(f"/v1/nodes/detail?{full}", options.nodes)
            subject.measure("detail", options.lists, detail)


def report(subjects: list[Subject]) -> None:
    """A line per operation; ratios when there are two servers."""
    head = f"{'':<12}" + "".join(
        f"{f'{one.server.name}: CPU ms':>16}{'median ms':>12}{'p99 ms':>10}" for one in subjects
    )
    print(head + (f"{'CPU ratio':>12}{'time ratio':>12}" if len(subjects) > 1 else ""))
    for name in subjects[0].cpu:
        cpu = [statistics.median(one.cpu[name]) for one in subjects]
        typical = [statistics.median(one.waited[name]) for one in subjects]
        worst = [statistics.quantiles(one.waited[name], n=100)[-1] for one in subjects]
        line = f"{name:<12}" + "".join(
            f"{used:>16.2f}{median:>12.2f}{last:>10.2f}"
            for used, median, last in zip(cpu, typical, worst, strict=True)
        )
        if len(subjects) > 1:
            line += f"{cpu[1] / cpu[0]:>12.1f}{typical[1] / typical[0]:>12.1f}" if cpu[0] else ""
        print(line)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", metavar="URL", help="another server, which runs already")
    parser.add_argument("--peer-pids", metavar="CMD", help="prints its pids, one a line")
    parser.add_argument("--api-version", default="latest")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=1000, help="how many, and how long a page")
    parser.add_argument("--gets", type=int, default=1000)
    parser.add_argument("--patches", type=int, default=200)
    parser.add_argument("--lists", type=int, default=10)
    parser.add_argument("--connections", type=int, default=256, help="at once; 0: skip this")
    return parser.parse_args()


def main() -> None:
    """Measure and print; judge nothing."""
    options = arguments()
    with ours() as server:
        servers = [server]
        if options.peer:
            servers.append(peer(options.peer, options.peer_pids))
        subjects = [Subject(one, options.api_version) for one in servers]
        for one in servers:
            print(f"{one.name:<5} {one.memory():.0f} MB resident when idle")
        measured(subjects, options)
        report(subjects)
        for subject in subjects if options.connections else ():
            crowd(subject, options.connections, each=4)


if __name__ == "__main__":
    main()
