"""The people and programs at the API: they ask, ask again as any client would, and remember."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

VERSION = "1.95"
SECONDS = 30.0
GOALS = {"active": "active", "deleted": "available"}
_WATCHED = "uuid,provision_state,target_provision_state,reservation,last_error,maintenance"


class NoAnswer(Exception):
    """The connection broke, or nothing came in time: whether it was done is not known."""


def ask(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and answer. Raises NoAnswer."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
    try:
        connection.request(
            method,
            path,
            None if body is None else json.dumps(body),
            {"X-OpenStack-Ironic-API-Version": VERSION, "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(error)) from error
    finally:
        connection.close()


@dataclass
class Job:
    """One deploy or clean. ``accepted``: it was answered with a 2xx, or was found under way."""

    node: str
    verb: str
    asked: float
    accepted: bool = False
    ended: float | None = None
    state: str = ""
    error: str = ""


@dataclass
class Memory:
    """What clients know to be so.

    ``lost`` and ``double``: what they found at a machine itself, looking at it ``looks`` times.
    """

    jobs: list[Job] = field(default_factory=list)
    patches: dict[str, set[str]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    looks: int = 0
    silence: float = 0.0


class Watcher:
    """Looks at all nodes once a second."""

    def __init__(self, url: str, memory: Memory) -> None:
        self._url, self._memory = url, memory
        self._news = threading.Condition()
        self._nodes: dict[str, dict[str, Any]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.look()
        self._thread.start()

    def node(self, uuid: str) -> dict[str, Any]:
        return self._nodes[uuid]

    def all(self) -> list[dict[str, Any]]:
        return list(self._nodes.values())

    def wait(self, seconds: float) -> None:
        """Until there are news, or as long as that."""
        with self._news:
            self._news.wait(seconds)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> bool:
        """Ask once; whether it was answered."""
        try:
            status, told = ask(self._url, "GET", f"/v1/nodes?fields={_WATCHED}")
        except NoAnswer:
            status, told = 0, None
        self._memory.answers[f"read {status or 'without an answer'}"] += 1
        if status != 200:
            if status not in (0, 502, 503, 504):
                self._memory.odd[f"GET /v1/nodes: {status} {told!r}"] += 1
            return False
        with self._news:
            self._nodes = {node["uuid"]: node for node in told["nodes"]}
            self._news.notify_all()
        return True

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._over.wait(1.0):
            if self.look():
                now = time.monotonic()
                self._memory.silence = max(self._memory.silence, now - last)
                last = now


class Worker:
    """Deploys and cleans one node, in turn, until told to stop; then sees the last job out."""

    def __init__(
        self,
        url: str,
        uuid: str,
        watcher: Watcher,
        memory: Memory,
        image: dict[str, str],
        examine: Callable[[str, Memory], None] = lambda verb, memory: None,
    ) -> None:
        """``examine``: looks at the machine after a deploy or a clean that has ended well."""
        self._image, self._examine = image, examine
        self._url, self._uuid, self._watcher, self._memory = url, uuid, watcher, memory
        self._random = random.Random(uuid)
        self._patched = 0
        self.enough, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self.enough.wait(self._random.uniform(0.5, 4)):
            state = self._watcher.node(self._uuid)["provision_state"]
            verb = {"available": "active", "active": "deleted"}.get(state)
            if verb is None:
                return
            if verb == "active" and self._image:
                self._choose_image()
            job = Job(self._uuid, verb, time.monotonic())
            self._memory.jobs.append(job)
            self._ask_for(job, state)
            if job.accepted and not self._see_out(job):
                return
            if job.ended is not None:
                self._examine(job.verb, self._memory)

    def _choose_image(self) -> None:
        """What is to be deployed, told until it is known: a node forgets it with its instance."""
        body = [{"op": "add", "path": "/instance_info", "value": self._image}]
        while not self.over.is_set() and self._change(body) != 200:
            self.over.wait(1.0)

    def _ask_for(self, job: Job, state: str) -> None:
        """As a careful client does: no answer is no answer, so look before asking again."""
        path = f"/v1/nodes/{self._uuid}/states/provision"
        while not (job.accepted or self.over.is_set()):
            try:
                status, told = ask(self._url, "PUT", path, {"target": job.verb})
            except NoAnswer:
                status, told = 0, None
            self._memory.answers[f"verb {status or 'without an answer'}"] += 1
            if status == 202:
                job.accepted = True
                return
            if status not in (0, 409, 502, 503, 504, 400):
                self._memory.odd[f"{job.verb}: {status} {told!r}"] += 1
            if self._state_now() != state:
                job.accepted = True
            elif status == 400:
                self._memory.odd[f"{job.verb} in {state}: {status} {told!r}"] += 1
            self.over.wait(1.0)

    def _state_now(self) -> str:
        while not self.over.is_set():
            try:
                status, told = ask(self._url, "GET", f"/v1/nodes/{self._uuid}")
            except NoAnswer:
                status = 0
            if status == 200:
                return str(told["provision_state"])
            self.over.wait(1.0)
        return "not known"

    def _see_out(self, job: Job) -> bool:
        """Wait for the end; whether it is the right one."""
        due = time.monotonic() + self._random.uniform(0, 5)
        while True:
            node = self._watcher.node(self._uuid)
            job.state, job.error = node["provision_state"], node["last_error"] or ""
            failed = job.state in ("error", "deploy failed", "clean failed")
            if failed or (job.state == GOALS[job.verb] and node["reservation"] is None):
                job.ended = time.monotonic()
                return not failed
            if self.over.is_set():
                return False
            if time.monotonic() > due and not self.enough.is_set():
                self._patch()
                due = time.monotonic() + self._random.uniform(2, 8)
            self._watcher.wait(2.0)

    def _patch(self) -> None:
        self._patched += 1
        name = f"k{self._patched}"
        body = [{"op": "add", "path": f"/extra/{name}", "value": self._patched}]
        if self._change(body) == 200:
            self._memory.patches.setdefault(self._uuid, set()).add(name)

    def _change(self, body: list[dict[str, Any]]) -> int:
        try:
            status, told = ask(self._url, "PATCH", f"/v1/nodes/{self._uuid}", body)
        except NoAnswer:
            status, told = 0, None
        self._memory.answers[f"patch {status or 'without an answer'}"] += 1
        if status not in (200, 0, 409, 502, 503, 504):
            self._memory.odd[f"PATCH: {status} {told!r}"] += 1
        return status
