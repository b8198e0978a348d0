"""Chaos: deploys and cleans in a cluster whose parts are killed, stopped and cut off at random.

    python -m tests.chaos --minutes 10
    python -m tests.chaos --minutes 1 --seed 7 --database mariadb

Two APIs (one with a conductor in its process), three conductors (one with a clock ten minutes
ahead, two with one host name), netboot, a database, a broker and a balancer, all real processes in
a network of their own. The nodes are fake hardware with delays, machines that speak IPMI and the
agent's protocol, and real ones of QEMU's, whose disks are looked at. Ends with one line, and with
1 unless nothing failed, is stuck, was lost or done twice.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos import clients, hall, machines
from tests.chaos.clients import Memory, Watcher, Worker
from tests.chaos.faults import Chaos
from tests.chaos.field import FIRST_CONTROLLER, MACHINES, Field, enter, inside
from tests.chaos.verdict import Verdict, judge

SETTLE_SECONDS = 180.0
BEGIN_SECONDS = 240.0


def main(argv: list[str]) -> int:
    """Run it; 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=200, help="at least, or it goes on")
    parser.add_argument("--fake", type=int, default=50, help="nodes of fake hardware")
    parser.add_argument("--machines", type=int, default=20, help="machines (IPMI, agents)")
    parser.add_argument(
        "--lab", type=int, default=2 if hall.possible() else 0, help="machines of QEMU's"
    )
    parser.add_argument("--database", choices=["postgresql", "mariadb"], default="postgresql")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 16))
    parser.add_argument("--keep", action="store_true", help="leave logs and data where they are")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if options.lab and not inside():
        hall.prepare()
    enter(argv)
    folder = Path(tempfile.mkdtemp(prefix="drophammer-chaos-"))
    folder.chmod(0o755)
    field = Field(folder, database=options.database, machines=options.machines, lab=options.lab)
    good = False
    try:
        field.start()
        good = run(field, options).good
    finally:
        field.stop()
        if options.keep or not good:
            print(f"Logs and data: {folder}")
        else:
            shutil.rmtree(folder)
    return 0 if good else 1


def run(field: Field, options: argparse.Namespace) -> Verdict:
    """The whole of it."""
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f}] {text}", flush=True)

    tell(f"seed {options.seed}; {field.folder}")
    url, memory = field.cluster.url, Memory()
    owners = [register(url, *machine(number)) for number in range(options.machines)]
    hosts = {register(url, host.body, host.machine.mac): host for host in field.hosts}
    fakes = [register(url, {"driver": "fake-hardware"}) for _ in range(options.fake)]
    nodes = [*owners, *hosts, *fakes]
    watcher = Watcher(url, memory)
    await_state(watcher, nodes, "available")
    tell(f"{len(nodes)} nodes are available")
    for host in hosts.values():
        host.settle()
    workers = [Worker(url, uuid, watcher, memory, field.image) for uuid in owners]
    workers += [Worker(url, uuid, watcher, memory, {}) for uuid in fakes]
    workers += [
        Worker(url, uuid, watcher, memory, field.lab_image, host.examine)
        for uuid, host in hosts.items()
    ]
    for worker in workers:
        worker.thread.start()
    chaos = Chaos(field, options.seed, tell)
    chaos.start()
    try:
        last(workers, memory, options)
    finally:
        chaos.stop()
    tell("the chaos is over")
    see_out(workers, hall.SETTLE_SECONDS if hosts else SETTLE_SECONDS)
    watcher.stop()
    watcher.look()
    tell("all that can end has ended")
    found = judge(memory, watcher.all(), owners, field.notes, field.cluster.database.url)
    report(found, memory, chaos.counts)
    return found


def last(workers: list[Worker], memory: Memory, options: argparse.Namespace) -> None:
    """As long as was asked for, in time and in jobs, while anybody works."""
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end or sum(j.ended is not None for j in memory.jobs) < options.jobs:
        if not any(worker.thread.is_alive() for worker in workers):
            break
        threading.Event().wait(1.0)


def machine(number: int) -> tuple[dict[str, Any], str]:
    """The node of a machine without a disk, and its network card."""
    info = {
        "ipmi_address": MACHINES,
        "ipmi_port": FIRST_CONTROLLER + number,
        "ipmi_username": machines.USER,
        "ipmi_password": machines.PASSWORD,
    }
    node = {"driver": "ipmi", "deploy_interface": "direct", "driver_info": info}
    return node, machines.mac_of(number)


def register(url: str, body: dict[str, Any], mac: str = "") -> str:
    """A node that is on its way to being available."""
    uuid = str(done(clients.ask(url, "POST", "/v1/nodes", body))["uuid"])
    if mac:
        done(clients.ask(url, "POST", "/v1/ports", {"node_uuid": uuid, "address": mac}))
    for verb, state in (("manage", "manageable"), ("provide", None)):
        path = f"/v1/nodes/{uuid}/states/provision"
        done(clients.ask(url, "PUT", path, {"target": verb}))
        while (
            state and done(clients.ask(url, "GET", f"/v1/nodes/{uuid}"))["provision_state"] != state
        ):
            threading.Event().wait(0.2)
    return uuid


def done(answer: tuple[int, Any]) -> Any:
    """The answer's body. Before the chaos everything must work."""
    status, body = answer
    if status >= 300:
        raise SystemExit(f"before the chaos: {status} {body!r}")
    return body


def await_state(watcher: Watcher, nodes: list[str], state: str) -> None:
    """Until all nodes are in a state."""
    end = time.monotonic() + BEGIN_SECONDS
    while any(watcher.node(uuid)["provision_state"] != state for uuid in nodes):
        if time.monotonic() > end:
            raise SystemExit(f"before the chaos: not {state}: {watcher.all()}")
        watcher.wait(2.0)


def see_out(workers: list[Worker], seconds: float) -> None:
    """Ask for nothing more, wait for what was asked for."""
    for worker in workers:
        worker.enough.set()
    end = time.monotonic() + seconds
    for worker in workers:
        worker.thread.join(max(0.0, end - time.monotonic()))
    for worker in workers:
        worker.over.set()
    for worker in workers:
        worker.thread.join(2 * clients.SECONDS)


def report(found: Verdict, memory: Memory, faults: Counter[str]) -> None:
    """For people: what was wrong, what was done, and the one line."""
    for line in found.lines:
        print(f"  ! {line}")
    for line, count in memory.odd.items():
        print(f"  ? {count} x {line}")
    print("faults:", ", ".join(f"{count} x {name}" for name, count in sorted(faults.items())))
    print("answers:", ", ".join(f"{n} x {name}" for name, n in sorted(memory.answers.items())))
    print(f"longest time without an answered read: {memory.silence:.1f} s")
    print(f"disks of QEMU's machines looked at: {memory.looks} times")
    print(f"chaos: {found}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
