"""What machines cost a conductor that does nothing but wait for their ramdisks.

An idle conductor with its usual intervals, once without nodes and once with many in the
five wait states: threads, statements, CPU. The power sync polls some of those states as it
does nodes at rest (see the bench ``sync``); ``--no-sync`` leaves that out.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
import threading
import time
from pathlib import Path

from sqlalchemy import event

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer import states
from drophammer.bus import LocalBus
from drophammer.model import Agent, Node, Operation, Step, new_uuid
from drophammer.store import Store

CHUNK = 2_500
FLOWS = {
    states.WAIT_CALL_BACK: "deploy",
    states.CLEAN_WAIT: "clean",
    states.INSPECT_WAIT: "inspect",
    states.RESCUE_WAIT: "rescue",
    states.SERVICE_WAIT: "service",
}


def main() -> None:
    """Print what an idle conductor uses, without nodes and with many that wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=65)
    parser.add_argument("--no-sync", action="store_true")
    options = parser.parse_args()
    settings = Settings(power_sync_interval=0) if options.no_sync else Settings()
    for count in (0, options.nodes):
        with tempfile.TemporaryDirectory() as folder:
            watch(Path(folder), settings, count, options.seconds)


def watch(folder: Path, settings: Settings, count: int, seconds: float) -> None:
    """Run a conductor for a while and print what it used."""
    store = Store(f"sqlite:///{folder}/bench.sqlite")
    store.migrate()
    fill(store, count)
    bus = LocalBus()
    process = ConductorProcess(settings, store, bus)
    process.start()
    time.sleep(3)  # The first looks, which are made once.
    statements = 0

    def note(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(store.engine, "before_cursor_execute", note)
    cpu = time.process_time()
    time.sleep(seconds)
    cpu = time.process_time() - cpu
    threads = threading.active_count()
    event.remove(store.engine, "before_cursor_execute", note)
    process.stop()
    bus.close()
    store.close()
    print(
        f"{count:>6} nodes wait: {cpu / seconds * 100:5.2f} % of a CPU, {threads} threads, "
        f"{statements} statements in {seconds:.0f} s",
        flush=True,
    )


def fill(store: Store, count: int) -> None:
    """Machines that wait, each with its operation, its step and an agent that has spoken."""
    now = store.clock.now()
    deadline = now + datetime.timedelta(hours=1)
    tables = Node.metadata.tables
    for start in range(1, count + 1, CHUNK):
        ids = range(start, min(count + 1, start + CHUNK))
        kinds = {number: list(FLOWS.items())[number % len(FLOWS)] for number in ids}
        nodes = [
            {
                "id": number,
                "uuid": new_uuid(),
                "driver": "fake-hardware",
                "provision_state": kinds[number][0],
                "provision_updated_at": now,
                "power_state": states.POWER_OFF,
                "deadline": deadline,
                "operation_id": number,
                "created_at": now,
                "updated_at": now,
            }
            for number in ids
        ]
        operations = [
            {
                "id": number,
                "uuid": new_uuid(),
                "node_id": number,
                "verb": "wait",
                "flow": kinds[number][1],
                "state": "waiting",
                "created_at": now,
            }
            for number in ids
        ]
        steps = [
            {
                "operation_id": number,
                "position": 0,
                "interface": "conductor",
                "step": "boot_ramdisk",
                "source": "conductor",
                "state": "running",
            }
            for number in ids
        ]
        beat = now - datetime.timedelta(seconds=1)
        agents = [
            {"node_id": number, "token": "t", "beats": 1, "last_beat": beat} for number in ids
        ]
        with store.write() as session:
            for model, rows in ((Node, nodes), (Operation, operations), (Step, steps)):
                session.execute(tables[model.__tablename__].insert(), rows)
            session.execute(tables[Agent.__tablename__].insert(), agents)


if __name__ == "__main__":
    main()
