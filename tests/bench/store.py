"""Leases on sqlite: how often a node can be taken and given back, alone and in a race."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from drophammer.errors import NodeLocked
from drophammer.model import Node, new_uuid
from drophammer.store import Holder, Store

SECONDS = 3.0


def main() -> None:
    """Print rates for 1 and 16 threads."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/bench.sqlite")
        store.migrate()
        with store.write() as session:
            for _ in range(200):
                session.add(
                    Node(
                        uuid=new_uuid(),
                        driver="fake-hardware",
                        provision_state="available",
                        created_at=store.clock.now(),
                    )
                )
        alone = race(store, 1)
        print(f"take and give back, 1 thread:   {alone:8.0f} /s")
        many = race(store, 16)
        print(f"take and give back, 16 threads: {many:8.0f} /s ({many / alone:.2f} x)")
        store.close()


def race(store: Store, threads: int) -> float:
    """Leases taken and released a second by ``threads`` on 200 nodes."""
    end = time.monotonic() + SECONDS
    counts = [0] * threads

    def work(number: int) -> None:
        holder = Holder(str(number), str(number))
        node_id = number
        while time.monotonic() < end:
            node_id = node_id % 200 + 1
            try:
                with store.write() as session:
                    lease = store.reserve(session, node_id, holder, "bench")
                with store.write() as session:
                    store.release(session, lease)
                counts[number] += 1
            except NodeLocked:
                continue

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / SECONDS


if __name__ == "__main__":
    main()
