"""What each verb costs a conductor without HTTP: statements, commits, CPU, how many a second."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import event, or_, select

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer.bus import LocalBus
from drophammer.model import Node, new_uuid
from drophammer.store import Store

LIFE = (
    ("manage", "manageable"),
    ("inspect", "manageable"),
    ("provide", "available"),
    ("active", "active"),
    ("rebuild", "active"),
    ("deleted", "available"),
)


def main() -> None:
    """Print what each verb costs, for so many fake machines at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/bench.sqlite")
        store.migrate()
        bus = LocalBus()
        settings = Settings(workers=8, max_concurrent_clean=options.nodes, power_sync_interval=0)
        process = ConductorProcess(settings, store, bus)
        process.start()
        with store.write() as session:
            nodes = [
                Node(
                    uuid=new_uuid(),
                    driver="fake-hardware",
                    provision_state="enroll",
                    created_at=store.clock.now(),
                )
                for _ in range(options.nodes)
            ]
            session.add_all(nodes)
            session.flush()
            ids = [node.id for node in nodes]
        for verb, goal in LIFE:
            measure(store, bus, ids, verb, goal)
        process.stop()
        bus.close()
        store.close()


def measure(store: Store, bus: LocalBus, ids: list[int], verb: str, goal: str) -> None:
    """Run ``verb`` on all nodes at once and print the cost of each."""
    told: Counter[str] = Counter()
    lock = threading.Lock()

    def count(what: str) -> None:
        if threading.current_thread().name.startswith(("worker_", "bus-")):
            with lock:
                told[what] += 1

    def statement(conn: Any, cursor: Any, text: str, *_: Any) -> None:
        if not text.startswith("BEGIN"):
            count("statements")

    def commit(_: Any) -> None:
        count("commits")

    hooks = {"before_cursor_execute": statement, "commit": commit}
    for name, hook in hooks.items():
        event.listen(store.engine, name, hook)
    began, cpu = time.monotonic(), time.process_time()
    for node_id in ids:
        bus.call("conductor", "provision", node_id=node_id, target=verb, request={})
    under_way = or_(Node.provision_state != goal, Node.operation_id.is_not(None))
    query = select(Node.id).where(under_way).limit(1)
    while True:
        with store.read() as session:
            if session.scalars(query).one_or_none() is None:
                break
        time.sleep(0.02)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    for name, hook in hooks.items():
        event.remove(store.engine, name, hook)
    each = {what: times / len(ids) for what, times in told.items()}
    print(
        f"{verb:<8} x {len(ids)}: {each['statements']:5.1f} statements in {each['commits']:.0f} "
        f"commits and {cpu / len(ids) * 1000:5.1f} ms of CPU each, {len(ids) / seconds:4.0f}/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
