"""What a round of the power sync costs: CPU of this process, statements, for fake machines.

Rounds in which nothing has changed, in which every machine was switched by somebody else,
and in which no controller answers.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import event, update

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer import conductors
from drophammer.bus import LocalBus
from drophammer.model import Node, new_uuid
from drophammer.store import Store

CHUNK = 5_000
SILENT = {"fake_fault": {"power": "BmcUnreachable: no answer"}}


def main() -> None:
    """Print seconds, CPU seconds and statements of each kind of round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--peers", type=int, default=0, help="others alive that poll their share")
    options = parser.parse_args()
    # A line for each machine that is silent belongs into a log, not onto the screen.
    logging.getLogger("conductor").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/bench.sqlite")
        store.migrate()
        fill(store, options.nodes, options.peers)
        bus = LocalBus()
        quiet = Settings(power_sync_interval=0, power_recovery_interval=0, power_sync_retries=0)
        process = ConductorProcess(quiet, store, bus)
        process.start()
        sync = process.power_sync
        measure(store, "nothing has changed", sync.sync)
        change(store, power_state=None)
        measure(store, "every state was unknown", sync.sync)
        change(store, driver_info=SILENT)
        measure(store, "nobody answers", sync.sync)
        measure(store, "still nobody answers", sync.recover)
        change(store, driver_info={})
        measure(store, "everybody answers again", sync.recover)
        process.stop()
        bus.close()
        store.close()


def fill(store: Store, count: int, peers: int) -> None:
    """Machines at rest, and other conductors that poll their share of them."""
    now = store.clock.now()
    for start in range(0, count, CHUNK):
        rows = [
            {
                "uuid": new_uuid(),
                "name": f"node-{number}",
                "driver": "fake-hardware",
                "provision_state": "active" if number % 2 else "available",
                "power_state": "power off",
                "properties": {"cpus": 16, "memory_mb": 65536, "capabilities": "boot_mode:uefi"},
                "driver_info": {"deploy_kernel": "http://127.0.0.1/k"},
                "created_at": now,
            }
            for number in range(start, min(count, start + CHUNK))
        ]
        with store.write() as session:
            session.execute(Node.metadata.tables["nodes"].insert(), rows)
    with store.write() as session:
        for number in range(peers):
            conductors.register(
                session,
                uuid=new_uuid(),
                hostname=f"peer-{number}",
                group="",
                hardware_types={"fake-hardware": {}},
                now=now,
            )


def change(store: Store, **columns: object) -> None:
    """Set columns of all nodes."""
    with store.write() as session:
        session.execute(update(Node).values(**columns))


def measure(store: Store, what: str, go: Callable[[], None]) -> None:
    """Run one round and print what it cost."""
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(store.engine, "before_cursor_execute", count)
    began, cpu = time.monotonic(), time.process_time()
    go()
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    event.remove(store.engine, "before_cursor_execute", count)
    print(f"{what:<26} {seconds:6.2f} s, {cpu:6.2f} CPU s, {statements:5} statements", flush=True)


if __name__ == "__main__":
    main()
