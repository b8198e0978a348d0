"""Heartbeats of ramdisks in the middle of a long clean step, beside another server's.

    python -m tests.bench beats
    python -m tests.bench beats --peer http://127.0.0.1:6386 --peer-pids 'pgrep -f ironic'

The machines are fake, their agents a small server of this program, which counts how often
it is asked. The CPU of a beat is all that the server used until it asked no more.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import uuid
from contextlib import closing

from tests.bench.client import Client
from tests.bench.life import insist, until
from tests.bench.ramdisks import STEP, Ramdisks, ramdisks
from tests.bench.rounds import Round, Subject, add_options, by_turns, compared, in_threads, report

CONFIG = "[agent]\nrequire_tls = false\n[conductor]\nsync_power_state_interval = 600\n"
NAME = "beat, {} clients"


def main() -> None:
    """Measure and print; judge nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "1.82")
    parser.add_argument("--nodes", type=int, default=48)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round")
    options = parser.parse_args()
    with ramdisks() as agents, compared(options, CONFIG) as subjects:
        tokens = {one.server.name: begun(one, agents, options.nodes) for one in subjects}
        for clients in options.clients:
            for subject in by_turns(subjects, options.rounds):
                beat(subject, agents, tokens[subject.server.name], clients, options.seconds)
        report(subjects)


def begun(subject: Subject, agents: Ramdisks, count: int) -> dict[str, str]:
    """Nodes whose agents are at their step: UUIDs and tokens."""
    tokens = {}
    with closing(subject.client()) as client:
        for _ in range(count):
            node = str(uuid.uuid4())
            body = {"uuid": node, "driver": "fake-hardware", "deploy_interface": "direct"}
            client.ask("POST", "/v1/nodes", body)
            move(client, node, {"target": "manage"}, "manageable")
            move(client, node, {"target": "clean", "clean_steps": [STEP]}, "clean wait")
            found = json.loads(insist(client, "GET", f"/v1/lookup?node_uuid={node}"))
            tokens[node] = found["config"]["agent_token"]
            say(client, node, tokens[node], agents.url)
    settle(agents)
    return tokens


def move(client: Client, node: str, body: object, goal: str) -> None:
    """One node through one verb."""
    insist(client, "PUT", f"/v1/nodes/{node}/states/provision", body)
    path = f"/v1/nodes/{node}?fields=provision_state,last_error"
    until(client, path, lambda told: told["provision_state"] == goal)


def say(client: Client, node: str, token: str, url: str) -> None:
    """One heartbeat."""
    body = {"callback_url": url, "agent_token": token, "agent_version": "13.0.0"}
    insist(client, "POST", f"/v1/heartbeat/{node}", body)


def settle(agents: Ramdisks) -> None:
    """Wait until nobody asks the agents any more."""
    asked = -1
    while agents.asked != asked:
        asked = agents.asked
        time.sleep(1)


def beat(
    subject: Subject, agents: Ramdisks, tokens: dict[str, str], clients: int, seconds: float
) -> None:
    """As many beats as so many clients get accepted in that time, all nodes in turn."""
    turn = itertools.cycle(tokens.items())
    waited: list[float] = []
    cpu, asked, began = subject.server.cpu(), agents.asked, time.perf_counter()

    def work() -> None:
        with closing(subject.client()) as client:
            while time.perf_counter() < began + seconds:
                node, token = next(turn)
                sent = time.perf_counter()
                say(client, node, token, agents.url)
                waited.append((time.perf_counter() - sent) * 1000)

    in_threads(work, clients)
    passed = time.perf_counter() - began
    settle(agents)
    cpu = subject.server.cpu() - cpu
    name = NAME.format(clients)
    subject.rounds.setdefault(name, []).append(Round(len(waited), passed, cpu, waited))
    print(
        f"{subject.server.name:<5} {name}: {len(waited)} beats, "
        f"the agents were asked {agents.asked - asked} times"
    )


if __name__ == "__main__":
    main()
