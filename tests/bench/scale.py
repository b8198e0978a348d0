"""Does a page take longer when there are 100,000 nodes? Two services, by turns, page by page."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from drophammer.model import Node
from drophammer.store import Store
from tests.bench.api import Client
from tests.bench.servers import ours

FEW = 1_000
CHUNK = 5_000
STATES = ("active", "available", "enroll", "manageable", "clean failed")

# What is asked, by name. {middle} is the UUID of the node in the middle.
PAGES = {
    "one node": "/v1/nodes/{middle}",
    "one by name": "/v1/nodes/node-{half}",
    "first page": "/v1/nodes?limit=25",
    "middle page": "/v1/nodes?limit=25&marker={middle}",
    "first page, detail": "/v1/nodes/detail?limit=25",
    "provision_state": "/v1/nodes?limit=25&provision_state=active",
    "provision_state, middle": "/v1/nodes?limit=25&provision_state=active&marker={middle}",
    "owner": "/v1/nodes?limit=25&owner=project-7",
    "owner, middle": "/v1/nodes?limit=25&owner=project-7&marker={middle}",
    "project": "/v1/nodes?limit=25&project=project-7",
    "resource_class": "/v1/nodes?limit=25&resource_class=class-3",
    "driver": "/v1/nodes?limit=25&driver=fake-hardware",
    "conductor_group": "/v1/nodes?limit=25&conductor_group=group-3",
    "shard": "/v1/nodes?limit=25&shard=shard-2,shard-3",
    "maintenance": "/v1/nodes?limit=25&maintenance=true",
    "associated": "/v1/nodes?limit=25&associated=true",
    "fault": "/v1/nodes?limit=25&fault=power+failure",
    "retired": "/v1/nodes?limit=25&retired=true",
    "sorted by name": "/v1/nodes?limit=25&sort_key=name",
    "by name, middle": "/v1/nodes?limit=25&sort_key=name&marker={middle}",
    "by name, backwards": "/v1/nodes?limit=25&sort_key=name&sort_dir=desc",
    "sorted by updated_at": "/v1/nodes?limit=25&sort_key=updated_at",
    "by updated_at, middle": "/v1/nodes?limit=25&sort_key=updated_at&marker={middle}",
    "by state, sorted by name": "/v1/nodes?limit=25&provision_state=active&sort_key=name",
}


def filled(folder: Path, count: int) -> dict[str, Any]:
    """A state folder with so many nodes; what the pages' addresses need to know of it."""
    store = Store(f"sqlite:///{folder}/drophammer.sqlite")
    store.migrate()
    now = store.clock.now()
    middle = ""
    for start in range(0, count, CHUNK):
        rows = [row(number, now) for number in range(start, min(count, start + CHUNK))]
        if start <= count // 2 < start + CHUNK:
            middle = rows[count // 2 - start]["uuid"]
        with store.write() as session:
            session.execute(Node.metadata.tables["nodes"].insert(), rows)
    store.close()
    return {"middle": middle, "half": count // 2}


def row(number: int, now: Any) -> dict[str, Any]:
    """A node that differs from the others in all that is filtered or sorted by."""
    rare = number % 20 == 0
    return {
        "uuid": str(uuid.uuid4()),
        "name": f"node-{number}",
        "driver": "fake-hardware",
        "provision_state": STATES[number % len(STATES)],
        "resource_class": f"class-{number % 10}",
        "owner": f"project-{number % 20}",
        "lessee": f"project-{number % 30}",
        "conductor_group": f"group-{number % 10}",
        "shard": f"shard-{number % 20}",
        "maintenance": rare,
        "retired": rare,
        "fault": "power failure" if rare else None,
        "instance_uuid": str(uuid.uuid4()) if number % 3 else None,
        "properties": {"cpus": 16, "memory_mb": 65536, "capabilities": "boot_mode:uefi"},
        "created_at": now,
        "updated_at": now - timedelta(seconds=number * 7919 % 100_003),
    }


def main() -> None:
    """Print medians, and how many times longer the large store takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=60)
    options = parser.parse_args()
    with ExitStack() as stack:
        asks = []
        for count in (FEW, options.nodes):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            known = filled(folder, count)
            client = stack.enter_context(
                closing(Client(stack.enter_context(ours(folder)), "1.109"))
            )
            asks.append(asking(client, known))
        print(f"{'':<26}{FEW:>10} ms{options.nodes:>10} ms{'times':>8}")
        for name, path in PAGES.items():
            few, many = by_turns(asks, path, options.times)
            print(f"{name:<26}{few:>13.2f}{many:>13.2f}{many / few:>8.2f}")


def asking(client: Client, known: dict[str, Any]) -> Callable[[str], float]:
    """How long the client waits for a page, in milliseconds."""

    def ask(path: str) -> float:
        began = time.perf_counter()
        client.ask("GET", path.format_map(known))
        return (time.perf_counter() - began) * 1000

    return ask


def by_turns(asks: list[Callable[[str], float]], path: str, times: int) -> list[float]:
    """The median for each."""
    taken: list[list[float]] = [[] for _ in asks]
    for turn in range(times + 2):
        for ask, found in zip(asks, taken, strict=True):
            waited = ask(path)
            if turn > 1:
                found.append(waited)
    return [statistics.median(found) for found in taken]


if __name__ == "__main__":
    main()
