"""How long the work of a conductor rests that is killed -9.

    python -m tests.bench failover
    python -m tests.bench failover --engine mariadb --conductors 3

Fake machines are in long deployments, spread over the conductors. One of those is killed;
a machine's work goes on when its lease is somebody else's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

from sqlalchemy import select

from cluster.lending import free_ports
from cluster.topology import Cluster, Plan
from drophammer.model import Node
from drophammer.store import Store
from tests.bench.client import Client
from tests.bench.life import insist, take
from tests.bench.servers import CLUSTER_PORTS, Server, await_drivers

LEASE_SECONDS = 20
VERSION = "1.95"


def main() -> None:
    """Kill, look, print; as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["postgresql", "mariadb"], default="postgresql")
    parser.add_argument("--conductors", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--lease", type=int, default=LEASE_SECONDS, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        plan = Plan(Path(folder), free_ports(CLUSTER_PORTS), 1, options.conductors, options.engine)
        plan.options["conductor"] = {
            "heartbeat_interval": 3,
            "heartbeat_timeout": options.lease,
            "automated_clean": "false",
        }
        plan.options["fake"] = {"deploy_delay": 6 * options.lease}
        cluster = Cluster(plan)
        try:
            cluster.start()
            await_drivers(f"http://127.0.0.1:{cluster.apis[0]}/v1/drivers")
            measure(cluster, options)
        finally:
            cluster.stop()


def measure(cluster: Cluster, options: argparse.Namespace) -> None:
    """Rounds of it, each with new machines."""
    store = Store(cluster.database.url)
    server = Server("ours", "127.0.0.1", cluster.apis[0], list)
    victims = cluster.conductors()
    for number in range(options.rounds):
        with closing(Client(server, VERSION)) as client:
            begin(client, options.nodes)
        victim = victims[number % len(victims)]
        owned = held_by(store, victim.name)
        victim.kill()
        waited = watch(store, owned)
        victim.start()
        print(
            f"{victim.name} killed with {len(owned)} of {options.nodes} at work, lease "
            f"{options.lease} s: taken up after {min(waited):.1f} s, median "
            f"{statistics.median(waited):.1f} s, last {max(waited):.1f} s",
            flush=True,
        )
    store.close()


def begin(client: Client, count: int) -> None:
    """New machines whose deployments are under way."""
    nodes = [str(uuid.uuid4()) for _ in range(count)]
    for node in nodes:
        client.ask("POST", "/v1/nodes", {"uuid": node, "driver": "fake-hardware"})
        take(node, "manage", "manageable", client)
        take(node, "provide", "available", client)
    for node in nodes:
        insist(client, "PUT", f"/v1/nodes/{node}/states/provision", {"target": "active"})


def held_by(store: Store, host: str) -> dict[str, int]:
    """The nodes of a host, and the fence of each."""
    with store.read() as session:
        query = select(Node.uuid, Node.fence).where(Node.lease_host == host)
        return {row.uuid: row.fence for row in session.execute(query)}


def watch(store: Store, owned: dict[str, int]) -> list[float]:
    """How long each took to be somebody else's, in seconds."""
    began, waited, left = time.monotonic(), [], dict(owned)
    while left:
        time.sleep(0.1)
        with store.read() as session:
            query = select(Node.uuid, Node.fence).where(Node.uuid.in_(left))
            for uuid_, fence in session.execute(query).all():
                if fence > left[uuid_]:
                    del left[uuid_]
                    waited.append(time.monotonic() - began)
    return waited


if __name__ == "__main__":
    main()
