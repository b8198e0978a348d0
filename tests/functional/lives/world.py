"""What several lives of conductors share: one database, one clock, the machines, the messages.

Everything runs on the thread of the test. Each statement that a life sends to the database,
each commit and each word to a machine is a moment; a ``Fate`` says what becomes of the life
at one of them. Nothing here knows what is right: that is ``laws.py``'s.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, event, select, text
from sqlalchemy.exc import OperationalError

from conductor import guard
from drophammer import agents, errors, inventories, nodes, operations, states
from drophammer.bus import nobody, result_of, split
from drophammer.bus_answer import Request, answer
from drophammer.clock import FakeClock
from drophammer.model import Agent, Base, BootSpecRow, Node, Operation, Port, Step, new_uuid
from drophammer.store import Store, held

if TYPE_CHECKING:
    from tests.functional.lives.life import Life

LEASE_SECONDS = 60.0
NODES = Base.metadata.tables["nodes"]
BESIDE = [Base.metadata.tables[name] for name in ("operations", "boot_specs", "events", "history")]
# By kind of boot spec: the ramdisk's word for an inspection is its inventory, not a beat.
_INSPECT = "inspect"


class Killed(BaseException):
    """kill -9. Not an Exception: nobody may catch it and go on."""


class TickingClock(FakeClock):
    """No two moments are the same, as on a real machine."""

    def now(self) -> datetime.datetime:
        self.advance(0.000001)
        return super().now()


@dataclass
class Fate:
    """What becomes of a life at its ``after``-th moment from now.

    ``kill``: it ends. ``database``: this statement fails. ``pause``: it stands still, at
    the next begin of a transaction or word to a machine, while ``meanwhile`` happens.
    ``short``: the same, but for so short a time that no lease runs out, and never right
    before a word to a machine: nobody can notice a lease that is broken there.
    """

    kind: str
    after: int
    meanwhile: Callable[[Life], None] = lambda life: None


@dataclass
class Machine:
    """One machine: its controller, and its ramdisk when that runs."""

    on: bool = False
    silent: bool = False
    deaf: bool = False
    manner: str = "quick"
    ramdisk: str | None = None
    commands: list[dict[str, Any]] = field(default_factory=list)


class Listener(logging.Handler):
    """Hears what a conductor tells its log of errors that it did not foresee."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.world: World | None = None

    def emit(self, record: logging.LogRecord) -> None:
        life = self.world.running[-1] if self.world is not None and self.world.running else None
        if self.world is not None and life is not None and record.exc_info and not life.harmed:
            self.world.offences.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


class Stage:
    """The database, opened once for many worlds: opening it costs more than most worlds do."""

    def __init__(self, path: Path) -> None:
        self.world: World | None = None
        self.store = Store(f"sqlite:///{path}", lease_seconds=LEASE_SECONDS)
        engine = self.store.engine

        @event.listens_for(engine, "connect")
        def relax(connection: Any, record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        self.store.migrate()
        self.listener = Listener()
        logging.getLogger("conductor").addHandler(self.listener)
        event.listen(engine, "commit", lambda _: self._moment(""))
        event.listen(
            engine, "before_cursor_execute", lambda _c, _cursor, sql, *_rest: self._moment(sql)
        )

    def _moment(self, sql: str) -> None:
        if self.world is not None:
            self.world.moment(opens=sql.startswith("BEGIN"))

    def clear(self) -> None:
        self.world = self.listener.world = None
        with self.store.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
            session.execute(text("DELETE FROM sqlite_sequence"))

    def close(self) -> None:
        self.world = None
        logging.getLogger("conductor").removeHandler(self.listener)
        self.store.close()


class World:
    """Machines, nodes, messages and lives."""

    def __init__(self, stage: Stage) -> None:
        stage.clear()
        self.store = stage.store
        self.clock = TickingClock()
        self.store.clock = self.clock
        self.lives: list[Life] = []
        self.running: list[Life | None] = []
        self.machines: dict[str, Machine] = {}
        self.node_ids: list[int] = []
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.netboot_is_away = False
        # What has happened that must not have; ``laws.py`` looks at it.
        self.offences: list[str] = []
        self.executed: set[tuple[int, int]] = set()
        stage.world = stage.listener.world = self

    # Time

    def monotonic(self) -> float:
        return 1000.0 + (self.clock._now - datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)) / (
            datetime.timedelta(seconds=1)
        )

    def moment(self, *, opens: bool, speaks: bool = False) -> None:
        """Whoever runs now does something that the world can notice."""
        life = self.running[-1] if self.running else None
        if life is None:
            return  # It is the world itself.
        if life.dead:
            raise Killed
        fate = life.fate
        if fate is None:
            return
        fate.after -= 1
        if fate.after > 0 or not _fits(fate, opens=opens, speaks=speaks):
            return
        life.fate = None
        if fate.kind == "kill":
            life.die()
            raise Killed
        if fate.kind == "database":
            life.harmed = True
            raise OperationalError("statement", {}, Exception("the database is away"))
        life.stand_still(fate.meanwhile)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is done here is nobody's doing, whoever runs."""
        self.running.append(None)
        try:
            yield
        finally:
            self.running.pop()

    # Nodes and machines

    def add_node(self, state: str, *, ramdisk: bool, **fields: Any) -> int:
        """A node at rest. ``ramdisk``: it is worked on through an agent."""
        kinds = {
            "boot_interface": "ipxe",
            "deploy_interface": "custom-agent",
            "inspect_interface": "agent",
            "rescue_interface": "agent",
        }
        now, uuid = self.clock.now(), new_uuid()
        with self.store.write() as session:
            node = Node(
                uuid=uuid,
                driver="world",
                provision_state=state,
                created_at=now,
                **(kinds if ramdisk else {}),
                **fields,
            )
            session.add(node)
            session.flush()
            node_id = node.id
            address = f"52:54:00:00:00:{node_id:02x}"
            session.add(Port(uuid=new_uuid(), node_id=node_id, address=address, created_at=now))
        self.machines[uuid] = Machine()
        self.node_ids.append(node_id)
        return node_id

    def node(self, node_id: int) -> Node:
        with self.store.read() as session:
            return session.get_one(Node, node_id)

    def machine(self, node_id: int) -> Machine:
        return self.machines[self.node(node_id).uuid]

    def power(self, node_uuid: str, action: str) -> None:
        """What the controller does when it is told to."""
        machine = self.machines[node_uuid]
        on = action in ("on", "reset")
        if not (on and machine.on and action == "on"):
            machine.ramdisk, machine.commands = None, []
        machine.on = on
        if on and machine.ramdisk is None:
            machine.ramdisk = self._key(node_uuid)

    def _key(self, node_uuid: str) -> str | None:
        query = select(BootSpecRow.key).join(Node).where(Node.uuid == node_uuid)
        with self.aside(), self.store.read() as session:
            return session.scalars(query).one_or_none()

    def change(self, node_id: int, **columns: Any) -> bool:
        """As the API writes a node: only when nobody holds it."""
        with self.store.write() as session:
            row = nodes.by_id(session, node_id, nodes.LEASE_COLUMNS, lock=True)
            if row is None or held(row, self.clock.now()):
                return False
            nodes.change(session, node_id, {**columns, "updated_at": self.clock.now()})
        return True

    def break_lease(self, node_id: int) -> None:
        """As the API does for an operator."""
        with self.store.write() as session:
            broken = self.store.break_lease(session, node_id)
        if broken is not None:
            self.cast("conductor", "go_on", node_id=node_id)

    # What ramdisks do

    def speak(self, node_id: int, *, lost: bool = False) -> None:
        """The ramdisk says what it says by itself. ``lost``: no conductor hears of it."""
        machine = self.machine(node_id)
        if machine.ramdisk is None or machine.deaf:
            return
        for command in machine.commands:
            if machine.manner != "hold":
                finish(command, failed=machine.manner == "fail")
        method = self._write_beat(node_id, machine.ramdisk)
        if method is not None and not lost:
            self.cast("conductor", method, node_id=node_id)

    def _write_beat(self, node_id: int, key: str) -> str | None:
        now = self.clock.now()
        with self.store.write() as session:
            agents.lock(session, node_id)
            spec = session.get(BootSpecRow, node_id)
            row = nodes.by_id(session, node_id, nodes.LEASE_COLUMNS | {"provision_state"})
            if spec is None or spec.key != key or row is None:
                return None
            state = row["provision_state"]
            if state not in states.LOOKUP_ALLOWED:
                return None
            if spec.purpose == _INSPECT:
                return _post_inventory(session, node_id, state, now)
            agent = session.get(Agent, node_id)
            if agent is None or agent.token is None:
                if held(row, now):
                    return None
                agents.give_token(session, node_id, "t" * 43, known=agent is not None)
            url = f"http://{self.node(node_id).uuid}/{key}"
            beat = {"held": "t" * 43, "url": url, "version": "1", "certificate": None}
            agents.beat(session, [{"node": node_id, **beat}], now)
            return "heartbeat" if nodes.touch(session, [node_id], now) else None

    def ramdisk_at(self, url: str | None) -> Machine:
        """The machine whose agent answers there."""
        _, _, place = (url or "").partition("http://")
        uuid, _, key = place.partition("/")
        machine = self.machines.get(uuid)
        if machine is None or machine.ramdisk != key or machine.deaf:
            raise errors.AgentUnreachable(f"The agent at {url} did not answer.")
        return machine

    # Messages. As a Bus.

    def call(self, address: str, method: str, /, **arguments: Any) -> Any:
        topic, _ = split(address)
        if topic == "netboot":
            if self.netboot_is_away:
                raise errors.Unavailable("netboot is being restarted")
            return None
        life = next((one for one in self.lives if one.listens), None)
        if life is None:
            raise nobody(topic)
        told: dict[str, Any] = {}
        life.act(
            lambda: told.update(answer(life.service, method, _json(arguments), Request(new_uuid())))
        )
        if not told:
            raise errors.DeadlineExceeded("No answer.")
        if "failed unexpectedly" in told.get("message", "") and not life.harmed:
            self.offences.append(f"{method}: {told['message']}")
        return result_of(_json(told))

    def cast(self, address: str, method: str, /, **arguments: Any) -> None:
        self.messages.append((method, _json(arguments)))

    def deliver(self, place: int, *, lost: bool, again: bool) -> None:
        """A message arrives at a life that listens, out of order; or does not."""
        if not self.messages:
            return
        place %= len(self.messages)
        method, arguments = self.messages[place]
        if not again:
            del self.messages[place]
        if not lost:
            with contextlib.suppress(errors.DrophammerError):
                self.call("conductor", method, **arguments)

    def serve(self, topic: str, endpoint: object, host: str) -> Any:
        raise NotImplementedError

    def trouble(self) -> str:
        return ""

    def close(self) -> None:
        pass

    # Fencing

    def held_by(self, life: Life) -> dict[int, int]:
        """The nodes that are a life's, with their fences."""
        query = select(Node.id, Node.fence).where(Node.lease_owner == life.box.holder.uuid)
        with self.aside(), self.store.read() as session:
            return {row.id: row.fence for row in session.execute(query)}

    def fence(self, node_id: int) -> int:
        with self.aside():
            return self.node(node_id).fence

    def rows(self, node_id: int) -> list[Any]:
        """All that is written of a node."""
        tables = [NODES, *(table for table in BESIDE if "node_id" in table.c)]
        with self.aside(), self.store.read() as session:
            found = [
                session.execute(
                    select(table).where(
                        (table.c.id if table is NODES else table.c.node_id) == node_id
                    )
                ).all()
                for table in tables
            ]
            steps = select(Step.__table__).join(Operation).where(Operation.node_id == node_id)
            return [*found, session.execute(steps).all()]

    # At the edge

    def touched(self, holder: str, node_uuid: str, what: str) -> None:
        """Somebody tells a machine something. Raises LeaseLost as the real edge does."""
        self.moment(opens=False, speaks=True)
        lease = guard._LEASE.get()
        guard.seconds_left(0)
        with self.aside(), self.store.read() as session:
            row = session.scalars(select(Node).where(Node.uuid == node_uuid)).one()
        if lease is None or (row.fence, row.lease_owner) != (lease.fence, holder):
            self.offences.append(f"{what} to {node_uuid} without holding it")

    def executes(self, node_uuid: str) -> None:
        """The agent was told to run the step that the node is at."""
        query = select(Operation.id, Operation.position).join(
            Node, Node.operation_id == Operation.id
        )
        with self.aside(), self.store.read() as session:
            row = session.execute(query.where(Node.uuid == node_uuid)).one_or_none()
        if row is None:
            self.offences.append(f"a step was sent to {node_uuid}, which has no operation")
            return
        place = (row.id, row.position)
        if place in self.executed:
            self.offences.append(f"step {row.position} of operation {row.id} was sent twice")
        self.executed.add(place)


def _fits(fate: Fate, *, opens: bool, speaks: bool) -> bool:
    return {"pause": opens or speaks, "short": opens}.get(fate.kind, True)


def finish(command: dict[str, Any], *, failed: bool) -> None:
    """An agent's command ends."""
    if command["status"] != "RUNNING":
        return
    if failed:
        command |= {"status": "FAILED", "error": "disk on fire"}
        return
    version = {"hardware_manager_version": {"generic_hardware_manager": "1.2"}}
    steps = {"Generic": STEPS}
    told = {
        "get_clean_steps": {"clean_steps": steps, **version},
        "get_service_steps": {"service_steps": steps, **version},
        "get_deploy_steps": {"deploy_steps": {}, **version},
    }
    command |= {"status": "SUCCEEDED", "result": told.get(command["name"], {"result": "done"})}


# What the ramdisks offer.
STEPS = [
    {"interface": "deploy", "step": "erase_devices_metadata", "priority": 99},
    {"interface": "bios", "step": "flash", "priority": 50, "reboot_requested": True},
    {"interface": "deploy", "step": "erase_devices", "priority": 10, "abortable": True},
]


def _post_inventory(session: Any, node_id: int, state: str, now: datetime.datetime) -> str | None:
    agents.nudge(session, node_id)
    if state != states.INSPECT_WAIT:
        return None
    found = {"interfaces": [], "cpu": {"architecture": "riscv64"}}
    inventories.put(session, node_id, found, {}, now)
    operations.wake(session, node_id)
    return "inspected"


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))
