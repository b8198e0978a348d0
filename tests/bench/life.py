"""Fake machines through their lives over HTTP, beside another server when one is named.

    python -m tests.bench life
    python -m tests.bench life --peer http://127.0.0.1:6386 --peer-pids 'pgrep -f ironic'

Each client takes a node, asks for a verb and looks until the node is where that leads;
the looking is part of the figures, the same for both servers. A transition is a verb that
has reached its goal. What a verb costs without HTTP is told by the bench ``stages``.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
import uuid
from collections.abc import Callable

from tests.bench.client import Client
from tests.bench.rounds import Round, Subject, add_options, by_turns, compared, report

# As the peer is usually set up: without cleaning after each deletion.
CONFIG = "[conductor]\nautomated_clean = false\nsync_power_state_interval = 600\n"
POLL_SECONDS = 0.02
STUCK_SECONDS = 120
LIFE = (("active", "active"), ("deleted", "available"))
POWER = ("power on", "power off")
ALL = "transitions"


def main() -> None:
    """Measure and print; judge nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "1.82")
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    with compared(options, CONFIG) as subjects:
        for subject in subjects:
            enroll(subject, options.nodes, options.clients)
        for subject in by_turns(subjects, options.rounds):
            for verb, goal in LIFE:
                go_through(subject, verb, goal, options.clients)
            both = [subject.rounds[verb][-1] for verb, _ in LIFE]
            subject.rounds.setdefault(ALL, []).append(together(both))
        for subject in by_turns(subjects, options.rounds):
            for target in POWER:
                jobs = [functools.partial(switch, node, target) for node in subject.nodes]
                subject.measure(target, jobs, options.clients)
        report(subjects)


def enroll(subject: Subject, count: int, clients: int) -> None:
    """New nodes, brought to where they can be deployed."""
    subject.nodes.extend(str(uuid.uuid4()) for _ in range(count))
    body = {"driver": "fake-hardware", "resource_class": "baremetal"}
    subject.measure(
        "create",
        [
            lambda client, node=node: client.ask("POST", "/v1/nodes", {"uuid": node, **body})
            for node in subject.nodes
        ],
        clients,
    )
    go_through(subject, "manage", "manageable", clients)
    go_through(subject, "provide", "available", clients)


def go_through(subject: Subject, verb: str, goal: str, clients: int) -> None:
    """All nodes through one verb."""
    jobs = [functools.partial(take, node, verb, goal) for node in subject.nodes]
    subject.measure(verb, jobs, clients)


def take(node: str, verb: str, goal: str, client: Client) -> None:
    """One node through one verb."""
    insist(client, "PUT", f"/v1/nodes/{node}/states/provision", {"target": verb})
    until(
        client,
        f"/v1/nodes/{node}?fields=provision_state,last_error",
        lambda told: told["provision_state"] == goal,
    )


def switch(node: str, target: str, client: Client) -> None:
    """One node to a power state."""
    insist(client, "PUT", f"/v1/nodes/{node}/states/power", {"target": target})
    until(
        client,
        f"/v1/nodes/{node}?fields=power_state,target_power_state,last_error",
        lambda told: told["power_state"] == target and not told["target_power_state"],
    )


def insist(client: Client, method: str, path: str, body: object = None) -> bytes:
    """The answer; asked for again where the node is still held by what went before."""
    end = time.monotonic() + STUCK_SECONDS
    while True:
        status, found = client.send(method, path, body)
        if status < 300:
            return found
        if status not in (409, 503) or time.monotonic() > end:
            raise SystemExit(f"{method} {path}: {status} {found[:300]!r}")
        time.sleep(POLL_SECONDS)


def until(client: Client, path: str, there: Callable[[dict[str, str]], bool]) -> None:
    """Look at the node until it is where it was to go."""
    end = time.monotonic() + STUCK_SECONDS
    while True:
        told = json.loads(client.ask("GET", path))
        if there(told):
            return
        if time.monotonic() > end:
            raise SystemExit(f"{path}: stuck: {told}")
        time.sleep(POLL_SECONDS)


def together(parts: list[Round]) -> Round:
    """The sum of rounds that followed each other."""
    return Round(
        done=sum(part.done for part in parts),
        seconds=sum(part.seconds for part in parts),
        cpu=sum(part.cpu for part in parts),
        waited=[ms for part in parts for ms in part.waited],
    )


if __name__ == "__main__":
    main()
