"""Fake machines through deploy and delete: transitions a second, CPU and statements for each."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer.bus import LocalBus
from drophammer.model import Node, new_uuid
from drophammer.store import Store

NODES = 100


def main() -> None:
    """Print what one deployment and one deletion of a fake machine cost."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/bench.sqlite")
        store.migrate()
        bus = LocalBus()
        process = ConductorProcess(Settings(workers=8, max_concurrent_clean=NODES), store, bus)
        process.start()
        with store.write() as session:
            nodes = [
                Node(
                    uuid=new_uuid(),
                    driver="fake-hardware",
                    provision_state="available",
                    created_at=store.clock.now(),
                )
                for _ in range(NODES)
            ]
            session.add_all(nodes)
            session.flush()
            ids = [node.id for node in nodes]
        measure(store, bus, ids, "active", "active", 2)
        measure(store, bus, ids, "deleted", "available", 3)
        process.stop()
        bus.close()
        store.close()


def measure(
    store: Store, bus: LocalBus, ids: list[int], verb: str, goal: str, transitions: int
) -> None:
    """Run ``verb`` on all nodes at once and print the cost of each."""
    statements = 0
    lock = threading.Lock()

    def count(*_: Any) -> None:
        nonlocal statements
        with lock:
            statements += 1

    event.listen(store.engine, "before_cursor_execute", count)
    began, cpu = time.monotonic(), time.process_time()
    for node_id in ids:
        bus.call("conductor", "provision", node_id=node_id, target=verb, request={})
    query = select(Node.id).where(Node.provision_state != goal).limit(1)
    while True:
        with store.read() as session:
            if session.scalars(query).one_or_none() is None:
                break
        time.sleep(0.02)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    event.remove(store.engine, "before_cursor_execute", count)
    total = len(ids) * transitions
    print(
        f"{verb:<8} x {len(ids)}: {total / seconds:6.0f} transitions/s, "
        f"{cpu / total * 1000:5.1f} ms of CPU and {statements / total:4.1f} statements each"
    )


if __name__ == "__main__":
    main()
