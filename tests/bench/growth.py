"""What a transition costs, and what rest costs, with ever more machines in the store.

    python -m tests.bench growth
    python -m tests.bench growth --engine postgresql --nodes 1000 10000 50000

The same fake machines go through deploy and delete each time; the others are at rest. Rest is
measured while nobody asks for anything: beats, sweeps and the power sync at its default interval.
"""

from __future__ import annotations

import argparse
import time
from contextlib import AbstractContextManager

from drophammer.store import Store
from tests.bench.life import CONFIG, LIFE, enroll, together, watched_each
from tests.bench.rounds import Subject
from tests.bench.servers import Server, ours, spread
from tests.bench.sync import fill

BUSY = CONFIG.replace("sync_power_state_interval = 600\n", "")
VERSION = "1.95"


def main() -> None:
    """A line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--engine", choices=["postgresql", "mariadb"])
    parser.add_argument("--conductors", type=int, default=1)
    parser.add_argument("--lives", type=int, default=32, help="machines that are worked with")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rest", type=float, default=70.0, help="seconds of rest")
    options = parser.parse_args()
    print(f"{'nodes':>8}{'per s':>9}{'CPU ms':>9}{'rest, % of a CPU':>18}{'MB':>7}")
    for count in options.nodes:
        with started(options) as server:
            line(server, count, options)


def started(options: argparse.Namespace) -> AbstractContextManager[Server]:
    """Our service on what was chosen."""
    if options.engine:
        return spread(options.engine, options.conductors, BUSY)
    return ours(config=BUSY)


def line(server: Server, count: int, options: argparse.Namespace) -> None:
    """Fill the store, work, rest, print."""
    store = Store(server.database)
    fill(store, count - options.lives, 0)
    store.close()
    subject = Subject(server, VERSION)
    enroll(subject, options.lives, options.clients)
    for _ in range(options.rounds):
        for verb, goal in LIFE:
            watched_each(subject, verb, goal, options.clients)
    all_of_it = together([one for verb, _ in LIFE for one in subject.rounds[verb]])
    cpu = server.cpu()
    time.sleep(options.rest)
    rest = (server.cpu() - cpu) / options.rest * 100
    print(
        f"{count:>8}{all_of_it.done / all_of_it.seconds:>9.1f}"
        f"{all_of_it.cpu / all_of_it.done * 1000:>9.2f}{rest:>18.2f}{server.memory():>7.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
