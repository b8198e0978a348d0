"""What a second conductor adds, with cores enough: each may use a part of one only.

    python -m tests.bench crowd --engine mariadb

A machine with two cores has none left for a second conductor, so the kernel gives each a
share (cgroups, CFS quota) that is small beside what API, engines and clients need. Whatever
the conductors wait for together, the work would not grow with their number.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.lending import free_ports
from cluster.topology import Cluster, Plan
from tests.bench.life import CONFIG, LIFE, enroll, together, watched_each
from tests.bench.rounds import Subject
from tests.bench.servers import CLUSTER_PORTS, Server, await_drivers, settings

GROUPS = Path("/sys/fs/cgroup/cpu")
PERIOD = 20_000
VERSION = "1.95"


def main() -> None:
    """Transitions a second with one conductor and with more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["postgresql", "mariadb"], default="postgresql")
    parser.add_argument("--conductors", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--share", type=float, default=0.15, help="of a core, for each")
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not (GROUPS / "cpu.cfs_quota_us").exists():
        raise SystemExit(f"{GROUPS} does not limit CPU here (cgroup v1, mounted for writing)")
    first = 0.0
    for count in options.conductors:
        rate = measured(count, options)
        first = first or rate
        print(f"{count} conductors: {rate:6.1f} transitions/s, {rate / first:.2f} x", flush=True)


def measured(count: int, options: argparse.Namespace) -> float:
    """Transitions a second of all rounds."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        plan = Plan(
            Path(folder),
            free_ports(CLUSTER_PORTS),
            1,
            count,
            options.engine,
            options=settings(CONFIG),
        )
        cluster = Cluster(plan)
        ends: list[Callable[[], None]] = []
        try:
            cluster.start()
            await_drivers(f"http://127.0.0.1:{cluster.apis[0]}/v1/drivers")
            subject = Subject(Server("ours", "127.0.0.1", cluster.apis[0], list), VERSION)
            enroll(subject, options.nodes, options.clients)
            ends = [limit(role.pid or 0, options.share) for role in cluster.conductors()]
            for _ in range(options.rounds):
                for verb, goal in LIFE:
                    watched_each(subject, verb, goal, options.clients)
        finally:
            cluster.stop()
            for end in ends:
                end()
    done = together([one for verb, _ in LIFE for one in subject.rounds[verb]])
    return done.done / done.seconds


def limit(pid: int, share: float) -> Callable[[], None]:
    """Give a process that part of one core; returns what takes the limit away."""
    group = GROUPS / f"drophammer-bench-{pid}"
    group.mkdir()
    (group / "cpu.cfs_period_us").write_text(str(PERIOD))
    (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD * share)))
    (group / "cgroup.procs").write_text(str(pid))
    return group.rmdir


if __name__ == "__main__":
    main()
