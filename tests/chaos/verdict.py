"""What became of it all: survived, failed, stuck, lost, double."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from drophammer.model import Node, Operation
from drophammer.store import Store
from tests.chaos.clients import GOALS, Job, Memory

_AT_REST = {"available", "active"}


@dataclass
class Verdict:
    """Numbers of jobs, and for people a line about each that did not survive."""

    survived: int = 0
    failed: int = 0
    stuck: int = 0
    lost: int = 0
    double: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.failed == self.stuck == self.lost == self.double == 0

    def __str__(self) -> str:
        return (
            f"survived {self.survived}, failed {self.failed}, stuck {self.stuck}, "
            f"lost {self.lost}, double {self.double}"
        )


def judge(
    memory: Memory, nodes: Iterable[dict[str, Any]], machines: Sequence[str], notes: Path, url: str
) -> Verdict:
    """``machines``: the UUIDs of the nodes that have one, by its number."""
    found = Verdict()
    for job in memory.jobs:
        if job.accepted:
            _count(found, job)
    for node in nodes:
        at_rest = node["provision_state"] in _AT_REST and node["reservation"] is None
        if not at_rest and not node["provision_state"].endswith("failed"):
            found.stuck += 1
            found.lines.append(f"{node['uuid']} is left {node['provision_state']}: {node}")
        if node["maintenance"]:
            found.failed += 1
            found.lines.append(f"{node['uuid']} is left in maintenance")
    found.lost += len(memory.lost)
    found.double += len(memory.double)
    found.lines += memory.lost + memory.double
    store = Store(url)
    try:
        _operations(found, memory, store)
        _patches(found, memory, store)
    finally:
        store.close()
    asked = Counter((job.node, job.verb) for job in memory.jobs if job.accepted)
    _machines(found, asked, machines, notes)
    return found


def _count(found: Verdict, job: Job) -> None:
    if job.ended is not None and job.state == GOALS[job.verb]:
        found.survived += 1
    elif job.ended is not None:
        found.failed += 1
        found.lines.append(f"{job.node} {job.verb}: {job.state}: {job.error}")
    elif job.state in _AT_REST:
        found.lost += 1
        found.lines.append(f"{job.node} {job.verb}: accepted, and it is still {job.state}")


def _operations(found: Verdict, memory: Memory, store: Store) -> None:
    """As many pieces of work as were asked for."""
    with store.read() as session:
        query = select(Node.uuid, Operation.verb).join(Node, Node.id == Operation.node_id)
        done = Counter((uuid, verb) for uuid, verb in session.execute(query))
    for job, times in Counter((job.node, job.verb) for job in memory.jobs if job.accepted).items():
        if done[job] > times:
            found.double += done[job] - times
            found.lines.append(f"{job}: {times} asked for, {done[job]} begun")
        elif done[job] < times:
            found.lost += times - done[job]
            found.lines.append(f"{job}: {times} asked for, {done[job]} begun")


def _patches(found: Verdict, memory: Memory, store: Store) -> None:
    with store.read() as session:
        extras = {
            uuid: set(extra) for uuid, extra in session.execute(select(Node.uuid, Node.extra))
        }
    for uuid, names in memory.patches.items():
        gone = names - extras[uuid]
        found.lost += len(gone)
        found.lines += [f"{uuid}: the accepted change of extra/{name} is gone" for name in gone]


def _machines(
    found: Verdict, asked: Counter[tuple[str, str]], machines: Sequence[str], notes: Path
) -> None:
    """What was done to the machines: each disk written once a deploy, erased once a clean."""
    done: Counter[tuple[int, str]] = Counter()
    for line in notes.read_text().splitlines():
        note = json.loads(line)
        done[note["machine"], note["what"]] += 1
    for number, uuid in enumerate(machines):
        cleans = asked[uuid, "deleted"] + 1  # The first one is for the node to be available.
        wanted = {
            "deploy write_image": asked[uuid, "active"],
            "clean erase_devices_metadata": cleans,
            "clean erase_devices": cleans,
        }
        for what, times in wanted.items():
            begun, ended = done[number, f"{what} begins"], done[number, f"{what} ends"]
            if begun > times:
                found.double += begun - times
                found.lines.append(f"machine {number}: {what}: {times} asked for, {begun} begun")
            if ended < times and not found.failed + found.stuck:
                found.lost += times - ended
                found.lines.append(f"machine {number}: {what}: {times} asked for, {ended} done")
    torn = [(number, what) for number, what in done if what.startswith("torn")]
    found.double += sum(done[one] for one in torn)
    found.lines += [f"machine {number}: {what}" for number, what in torn]
