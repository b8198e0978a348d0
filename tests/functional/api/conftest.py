"""A real API over a real sqlite store; a recorder stands for the conductor on the bus."""

from __future__ import annotations

import contextlib
import datetime
import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update
from werkzeug.test import Client, TestResponse

from api.app import create_app
from api.settings import Settings
from drophammer import conductors
from drophammer.bus import Bus, LocalBus
from drophammer.errors import DrophammerError
from drophammer.model import INTERFACES, Node
from drophammer.store import Store
from tests import buses
from tests.databases import copied
from tests.functional.api.conformance import Conformance
from tests.functional.api.world import ANSWERS, World, made
from tests.patience import PATIENCE

VERSION = "X-OpenStack-Ironic-API-Version"


def kinds(**chosen: list[str]) -> dict[str, Any]:
    names = {kind: ["fake", "noop"] for kind in INTERFACES} | chosen
    return {kind: {"enabled": found, "default": found[0]} for kind, found in names.items()}


HARDWARE = {
    "fake-hardware": {
        "interfaces": kinds(boot=["fake", "ipxe"]),
        "properties": {"power_delay": "Seconds that the fake power takes."},
    },
    "fake-other": {"interfaces": kinds(), "properties": {}},
    "ipmi": {
        "interfaces": kinds(power=["ipmitool"], management=["ipmitool", "noop"]),
        "properties": {"ipmi_address": "Address of the controller."},
    },
}


@dataclass
class Recorder:
    """Takes every call of the bus, remembers it, and answers what the test laid ready."""

    calls: queue.Queue[tuple[str, dict[str, Any]]] = field(default_factory=queue.Queue)
    answers: dict[str, Any] = field(default_factory=dict)

    def _take(self, method: str, arguments: dict[str, Any]) -> Any:
        self.calls.put((method, arguments))
        answer = self.answers.get(method)
        if isinstance(answer, DrophammerError):
            raise answer
        return answer

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **arguments: self._take(method, arguments)

    def next(self) -> tuple[str, dict[str, Any]]:
        return self.calls.get(timeout=PATIENCE)

    def nothing_came(self) -> bool:
        return self.calls.empty()


@dataclass
class Api:
    """Speaks to the API as a client of one version; every answer is as it is documented."""

    client: Client
    store: Store
    conformance: Conformance
    version: str | None = "1.115"

    def at(self, version: str | None) -> Api:
        return replace(self, version=version)

    def call(self, method: str, path: str, body: Any = None, **extra: Any) -> TestResponse:
        headers = dict(extra.pop("headers", {}))
        if self.version is not None:
            headers.setdefault(VERSION, self.version)
        if body is not None:
            extra["data"] = body if isinstance(body, (bytes, str)) else json.dumps(body)
        answer = self.client.open(path, method=method, headers=headers, **extra)
        self.conformance.check(self.client.application, answer)
        return answer

    def get(self, path: str, **extra: Any) -> TestResponse:
        return self.call("GET", path, **extra)

    def post(self, path: str, body: Any = None, **extra: Any) -> TestResponse:
        return self.call("POST", path, body, **extra)

    def put(self, path: str, body: Any = None, **extra: Any) -> TestResponse:
        return self.call("PUT", path, body, **extra)

    def patch(self, path: str, body: Any, **extra: Any) -> TestResponse:
        return self.call("PATCH", path, body, **extra)

    def delete(self, path: str, **extra: Any) -> TestResponse:
        return self.call("DELETE", path, **extra)

    def node(self, **fields: Any) -> dict[str, Any]:
        """A new node, as the API shows it."""
        answer = self.post("/v1/nodes", {"driver": "fake-hardware", **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def set(self, uuid: str, **columns: Any) -> None:
        """Put a node into a state, as a conductor would."""
        with self.store.write() as session:
            session.execute(update(Node).where(Node.uuid == uuid).values(**columns))

    def lease(self, uuid: str, seconds: float = 60) -> None:
        """Let somebody hold the node."""
        now = self.store.clock.now()
        self.set(
            uuid,
            lease_owner="somebody",
            lease_host="conductor-7",
            lease_purpose="deploying",
            lease_since=now,
            lease_expires=now + datetime.timedelta(seconds=seconds),
        )

    def fault(self, answer: TestResponse) -> str:
        """The text of a refusal by a handler."""
        inner = json.loads(answer.json["error_message"])
        assert set(inner) == {"faultcode", "faultstring", "debuginfo"}, inner
        return str(inner["faultstring"])


@dataclass
class Statements:
    """Counts SQL statements and commits while it is switched on."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0

    def clear(self) -> None:
        self.statements.clear()
        self.commits = 0

    @property
    def count(self) -> int:
        return len(self.statements)


@contextlib.contextmanager
def _copied(template: Path, path: Path) -> Iterator[Store]:
    """A store with a conductor that is alive."""
    store = copied(template, path)
    uuid, now = "11111111-2222-3333-4444-555555555555", store.clock.now()
    with store.write() as session:
        if not conductors.beat(session, uuid, now):
            conductors.register(
                session,
                uuid=uuid,
                hostname="conductor-1",
                group="",
                hardware_types=HARDWARE,
                now=now,
            )
    yield store
    store.close()


@pytest.fixture(scope="session")
def staffed_database(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """A database with a conductor and nothing else, to copy."""
    path = tmp_path_factory.mktemp("database") / "staffed.sqlite"
    with _copied(empty_database, path):
        return path


@pytest.fixture
def database(staffed_database: Path) -> Path:
    """What each test's database is a copy of; modules may choose another."""
    return staffed_database


@pytest.fixture
def store(tmp_path: Path, database: Path) -> Iterator[Store]:
    with _copied(database, tmp_path / "test.sqlite") as store:
        yield store


@pytest.fixture
def bus(store: Store) -> Iterator[Bus]:
    made = buses.bus(store, threads=2)
    yield made
    made.close()


@pytest.fixture
def conductor(bus: Bus) -> Recorder:
    recorder = Recorder()
    bus.serve("conductor", recorder, "conductor-1")
    return recorder


@pytest.fixture
def netboot(bus: Bus) -> Recorder:
    recorder = Recorder()
    bus.serve("netboot", recorder, "netboot-1")
    return recorder


@pytest.fixture
def settings() -> Settings:
    return Settings(locked_attempts=3, locked_pause=0.01)


@pytest.fixture(scope="session")
def conformance() -> Conformance:
    return Conformance()


@pytest.fixture
def api(
    settings: Settings,
    store: Store,
    bus: Bus,
    conductor: Recorder,
    conformance: Conformance,
) -> Api:
    return Api(create_app(settings, store, bus).test_client(), store, conformance)


@pytest.fixture
def sql(store: Store) -> Iterator[Statements]:
    counted = Statements()
    by_sqlalchemy = threading.Event()

    def execute(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        by_sqlalchemy.set()
        if not statement.startswith(("BEGIN", "PRAGMA")):
            counted.statements.append(statement)

    def executed(*_: Any) -> None:
        by_sqlalchemy.clear()

    def commit(connection: Any) -> None:
        counted.commits += 1

    def told(statement: str) -> None:
        if statement.startswith("SELECT") and not by_sqlalchemy.is_set():
            counted.statements.append(statement)

    def connect(connection: Any, record: object) -> None:
        if store.engine.dialect.name == "sqlite":
            connection.set_trace_callback(told)

    hooks = {
        "before_cursor_execute": execute,
        "after_cursor_execute": executed,
        "handle_error": executed,
        "commit": commit,
        "connect": connect,
    }
    # So that all connections are new, and tell what is asked past SQLAlchemy too.
    store.close()
    for name, hook in hooks.items():
        event.listen(store.engine, name, hook)
    yield counted
    for name, hook in hooks.items():
        event.remove(store.engine, name, hook)


@pytest.fixture(scope="session")
def full_database(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, conformance: Conformance
) -> tuple[Path, World]:
    """A database with one of everything, to copy."""
    path = tmp_path_factory.mktemp("database") / "full.sqlite"
    bus = LocalBus(threads=2)
    bus.serve("conductor", Recorder(answers=dict(ANSWERS)), "conductor-1")
    with _copied(empty_database, path) as store:
        world = made(Api(create_app(Settings(), store, bus).test_client(), store, conformance))
    bus.close()
    return path, world
