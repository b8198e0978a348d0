"""Fake machines through their lives over HTTP, beside another server when one is named.

    python -m tests.bench life
    python -m tests.bench life --peer http://127.0.0.1:6386 --peer-pids 'pgrep -f ironic'

Each client takes a node, asks for a verb and looks until the node is where that leads, fifty
times a second; the looking is part of the figures, the same for both servers, and most of
what the quicker one does. With ``--watch list`` all is asked for at once and one client
looks at all nodes four times a second, as programs do that have many. A transition is a verb that
has reached its goal. What a verb costs without HTTP is told by the bench ``stages``.
"""

from __future__ import annotations

import argparse
import functools
import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing

from tests.bench.client import Client
from tests.bench.rounds import (
    Round,
    Subject,
    add_options,
    by_turns,
    compared,
    in_threads,
    report,
)

# As the peer is usually set up: without cleaning after each deletion.
CONFIG = "[conductor]\nautomated_clean = false\nsync_power_state_interval = 600\n"
POLL_SECONDS = 0.02
LIST_SECONDS = 0.25
STUCK_SECONDS = 120
BEGIN = (("manage", "manageable"), ("provide", "available"))
LIFE = (("active", "active"), ("deleted", "available"))
POWER = ("power on", "power off")
ALL = "transitions"


def main() -> None:
    """Measure and print; judge nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "1.82")
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--watch", choices=["each", "list"], default="each")
    options = parser.parse_args()
    go_through = watched_together if options.watch == "list" else watched_each
    with compared(options, CONFIG) as subjects:
        for subject in subjects:
            create(subject, options.nodes, options.clients)
            for verb, goal in BEGIN:
                go_through(subject, verb, goal, options.clients)
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
    create(subject, count, clients)
    for verb, goal in BEGIN:
        watched_each(subject, verb, goal, clients)


def create(subject: Subject, count: int, clients: int) -> None:
    """New nodes."""
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


def watched_each(subject: Subject, verb: str, goal: str, clients: int) -> None:
    """All nodes through one verb, each looked at by who asked for it."""
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


def watched_together(subject: Subject, verb: str, goal: str, clients: int) -> None:
    """All nodes through one verb, asked for at once and looked at as a list."""
    cpu, began = subject.server.cpu(), time.perf_counter()
    waiting = list(subject.nodes)

    def ask() -> None:
        with closing(subject.client()) as client:
            while True:
                try:
                    node = waiting.pop()
                except IndexError:
                    return
                insist(client, "PUT", f"/v1/nodes/{node}/states/provision", {"target": verb})

    asking = threading.Thread(target=in_threads, args=(ask, clients))
    asking.start()
    waited: list[float] = []
    end = time.monotonic() + STUCK_SECONDS
    with closing(subject.client()) as client:
        while len(waited) < len(subject.nodes):
            time.sleep(LIST_SECONDS)
            told = json.loads(client.ask("GET", "/v1/nodes?fields=provision_state&limit=1000"))
            there = sum(node["provision_state"] == goal for node in told["nodes"])
            now = (time.perf_counter() - began) * 1000
            waited += [now] * (there - len(waited))
            if time.monotonic() > end:
                raise SystemExit(f"{verb}: {there} of {len(subject.nodes)} are {goal}")
    asking.join()
    seconds, cpu = time.perf_counter() - began, subject.server.cpu() - cpu
    subject.rounds.setdefault(verb, []).append(Round(len(waited), seconds, cpu, waited))


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
