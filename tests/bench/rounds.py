"""Servers that are measured by turns, and the table of what came out of it.

The noise of the machine falls on all of them alike: what counts is the ratios, and the
CPU that the servers' own processes used.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.bench.client import Client
from tests.bench.servers import Server, ours, peer, spread


@dataclass
class Round:
    """What one round of one operation came to."""

    done: int
    seconds: float
    cpu: float
    waited: list[float]


@dataclass
class Subject:
    """A server, the nodes it was given, and its rounds by operation."""

    server: Server
    version: str
    nodes: list[str] = field(default_factory=list)
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def client(self) -> Client:
        return Client(self.server, self.version)

    def measure(self, name: str, jobs: Sequence[Callable[[Client], None]], clients: int) -> None:
        """Run the jobs, so many at a time, each client on a connection of its own."""
        waiting = list(jobs)[::-1]
        waited: list[float] = []

        def work() -> None:
            with closing(self.client()) as client:
                while True:
                    try:
                        job = waiting.pop()
                    except IndexError:
                        return
                    began = time.perf_counter()
                    job(client)
                    waited.append((time.perf_counter() - began) * 1000)

        cpu, began = self.server.cpu(), time.perf_counter()
        in_threads(work, clients)
        seconds, cpu = time.perf_counter() - began, self.server.cpu() - cpu
        if len(waited) < len(jobs):
            raise SystemExit(f"{self.server.name}: {name}: {len(waited)} of {len(jobs)} done")
        self.rounds.setdefault(name, []).append(Round(len(waited), seconds, cpu, waited))


def in_threads(work: Callable[[], None], count: int) -> None:
    """Run ``work`` on so many threads, to its end."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_turns(subjects: list[Subject], rounds: int) -> Iterator[Subject]:
    """Each server in each round; who begins changes."""
    for number in range(rounds):
        yield from subjects if number % 2 == 0 else subjects[::-1]


def add_options(parser: argparse.ArgumentParser, version: str) -> None:
    """What all comparisons can be told."""
    parser.add_argument("--peer", metavar="URL", help="another server of the same API")
    parser.add_argument("--peer-pids", metavar="COMMAND", help="prints a line per process of it")
    parser.add_argument("--api-version", default=version)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--engine",
        choices=["postgresql", "mariadb"],
        help="ours as an API and conductors, with this database and RabbitMQ",
    )
    parser.add_argument("--conductors", type=int, default=1, help="of ours, with --engine")
    parser.add_argument(
        "--together",
        type=int,
        default=0,
        metavar="N",
        help="with --engine: N processes, each with API and conductor, behind HAProxy",
    )


@contextmanager
def compared(options: argparse.Namespace, config: str) -> Iterator[list[Subject]]:
    """Our own service with ``config``, and the peer when one is named."""
    alone = None if options.engine else ours(config=config)
    conductors = 0 if options.together else options.conductors
    with alone or spread(options.engine, conductors, config, together=options.together) as server:
        servers = [server]
        if options.peer:
            servers.append(peer(options.peer, options.peer_pids))
        yield [Subject(one, options.api_version) for one in servers]


def report(subjects: list[Subject]) -> None:
    """A line per operation: medians over the rounds; ratios when there are two servers."""
    head = f"{'':<16}" + "".join(
        f"{f'{one.server.name}: per s':>14}{'CPU ms':>9}{'median ms':>11}{'p99 ms':>9}"
        for one in subjects
    )
    print(head + (f"{'rate x':>9}{'CPU x':>8}" if len(subjects) > 1 else ""))
    for name in subjects[0].rounds:
        figures = [_figures(one.rounds[name]) for one in subjects]
        line = f"{name:<16}" + "".join(
            f"{rate:>14.1f}{cpu:>9.2f}{middle:>11.1f}{slow:>9.0f}"
            for rate, cpu, middle, slow in figures
        )
        if len(figures) > 1:
            (rate, cpu, *_), (other_rate, other_cpu, *_) = figures
            line += f"{rate / other_rate:>9.1f}{other_cpu / cpu if cpu else 0:>8.1f}"
        print(line)


def _figures(rounds: list[Round]) -> tuple[float, float, float, float]:
    """Rate, CPU ms each, and the median and the 99th percentile of what was waited."""
    waited = sorted(ms for one in rounds for ms in one.waited)
    return (
        statistics.median(one.done / one.seconds for one in rounds),
        statistics.median(one.cpu / one.done * 1000 for one in rounds),
        statistics.median(waited),
        waited[min(len(waited) - 1, len(waited) * 99 // 100)],
    )
