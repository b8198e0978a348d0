"""What outlives a conductor: the database, the machine with its controllers, its agent, the clock.

It counts what is done to the machine. One node, one machine; everything runs on the
thread of the test, and time goes on only when nothing else is left to do.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, event

from conductor.agentclient import FAILED, RUNNING, SUCCEEDED, Result
from drophammer import boots, bootspec
from drophammer.clock import FakeClock
from drophammer.errors import AgentBusy, AgentUnreachable
from drophammer.model import Agent, Base, Inventory, Node, Port, new_uuid
from drophammer.store import Store
from tests.databases import made, opened

LEASE_SECONDS = 60.0
HOST_OF_FILES = "http://127.0.0.1"


class TickingClock(FakeClock):
    """No two moments are the same, as on a real machine."""

    def now(self) -> datetime.datetime:
        self.advance(0.000001)
        return super().now()


class Stage:
    """One database for many performances, as conductors have it open and as everybody else has.

    Opened once: most of the time of a performance would go into compiling its statements
    anew. ``hand`` is that of the conductor who lives now.
    """

    def __init__(self, path: Path) -> None:
        self.clock = TickingClock()
        self.hand: Any = None
        made(path)
        self.store, self.conductors_store = self._open(path), self._open(path)
        self.store.migrate()
        event.listen(self.conductors_store.engine, "commit", lambda _: self.hand.boundary("commit"))
        event.listen(
            self.conductors_store.engine, "before_cursor_execute", lambda *_: self.hand.alive()
        )

    def close(self) -> None:
        self.hand = None
        self.store.close()
        self.conductors_store.close()

    def clear(self) -> None:
        with self.store.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))

    def _open(self, path: Path) -> Store:
        return opened(path, clock=self.clock, lease_seconds=LEASE_SECONDS)


@dataclass
class AgentLife:
    """One boot of the ramdisk: the commands that its agent knows."""

    commands: list[dict[str, Any]] = field(default_factory=list)
    goes_silent: bool = False

    def running(self) -> dict[str, Any] | None:
        return next((one for one in self.commands if one["status"] == RUNNING), None)


class World:
    """The machine of one node, and what has been done to it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.clock, self.store = stage.clock, stage.store
        stage.clear()
        self.node_id = 0
        self.on = False
        self.boot_device: tuple[str, bool] | None = None
        self.agent: AgentLife | None = None
        self.effects: list[str] = []
        self.raid: list[str] = []
        self.clean_steps = [
            _offer("deploy", "erase_devices_metadata", 99),
            _offer("bios", "flash", 50, reboot_requested=True),
            _offer("deploy", "erase_devices", 10, abortable=True),
        ]
        self.deploy_steps: list[dict[str, Any]] = []
        self.failing: set[str] = set()
        self.slow: set[str] = set()
        # How long the machine takes to switch, and what it is about to do.
        self.power_seconds = 0.0
        self._coming: tuple[float, str] | None = None

    def add_node(self, state: str, **fields: Any) -> None:
        now = self.clock.now()
        with self.store.write() as session:
            node = Node(
                uuid="11111111-1111-4111-8111-111111111111",
                provision_state=state,
                created_at=now,
                **{"driver": "world", **fields},
            )
            session.add(node)
            session.flush()
            self.node_id = node.id
            session.add(
                Port(uuid=new_uuid(), node_id=node.id, address="52:54:00:00:00:01", created_at=now)
            )
        self.on = fields.get("power_state") == "power on"

    def node(self) -> Node:
        with self.store.read() as session:
            return session.get_one(Node, self.node_id)

    # The machine

    def power(self, action: str) -> None:
        self.effects.append(f"power:{action}")
        if self._coming is None or self._coming[1] != action:
            self._coming = (self.clock.now().timestamp() + self.power_seconds, action)
        self.is_on()

    def is_on(self) -> bool:
        if self._coming is not None and self.clock.now().timestamp() >= self._coming[0]:
            action, self._coming = self._coming[1], None
            self._switch(on=action == "on")
        return self.on

    def _switch(self, *, on: bool) -> None:
        if on and self.on:
            return
        if self.agent is not None and (command := self.agent.running()) is not None:
            self.effects.append(f"interrupted:{command['what']}")
        self.agent = None
        self.on = on
        if on and self.spec() not in (None, bootspec.INSTANCE):
            self.agent = AgentLife()

    def restart_machine(self) -> None:
        """A power cut: the ramdisk, if that is what runs, begins anew and knows nothing."""
        if self.agent is not None:
            self.agent = AgentLife()

    def spec(self) -> str | None:
        """What the machine boots over the network."""
        with self.store.read() as session:
            found = boots.by_mac(session, "52:54:00:00:00:01")
        return None if found is None or found[1] is None else found[1].purpose

    def speak(self) -> str | None:
        """The ramdisk does what it does by itself; the word of which a conductor is to be told."""
        self.is_on()
        agent = self.agent
        if agent is None or agent.goes_silent:
            return None
        for command in agent.commands:
            if command["what"] not in self.slow:
                self._finish(command)
        if self.spec() == bootspec.INSPECT:
            return self._post_inventory()
        with self.store.write() as session:
            row = session.get(Agent, self.node_id)
            if row is None:
                row = Agent(node_id=self.node_id, beats=0)
                session.add(row)
            row.url, row.token, row.version = "http://agent", "t" * 43, "1"
            row.beats += 1
            row.last_beat = self.clock.now()
        return "heartbeat"

    def _post_inventory(self) -> str:
        with self.store.write() as session:
            if session.get(Inventory, self.node_id) is None:
                session.add(
                    Inventory(
                        node_id=self.node_id,
                        inventory={"cpu": {"architecture": "riscv64"}},
                        plugin_data={},
                        created_at=self.clock.now(),
                    )
                )
        return "inspected"

    # The agent

    def run(self, name: str, params: Mapping[str, Any]) -> Result:
        agent = self._agent()
        busy = agent.running()
        if busy is not None:
            raise AgentBusy(f"Agent is busy with {busy['what']}")
        step = params.get("step", {}).get("step")
        what = step or name
        asks = ".get_" in name
        command = {"id": str(uuid.uuid4()), "name": name.partition(".")[2], "what": what}
        agent.commands.append(command)
        command |= {"status": RUNNING, "result": None, "error": None}
        if asks:
            self._finish(command)
            return _result(command)
        self.effects.append(f"agent:{what}")
        if name == "rescue.finalize_rescue":
            self._finish(command)
            agent.goes_silent = True
        elif name == "standby.power_off":
            self._finish(command)
            self.agent, self.on = None, False
        return _result(command)

    def commands(self) -> list[Result]:
        return [_result(command) for command in self._agent().commands]

    def _agent(self) -> AgentLife:
        if self.agent is None or self.agent.goes_silent:
            raise AgentUnreachable("The agent at http://agent did not answer.")
        return self.agent

    def _finish(self, command: dict[str, Any]) -> None:
        if command["status"] != RUNNING:
            return
        if command["what"] in self.failing:
            command |= {"status": FAILED, "error": "disk on fire"}
            return
        version = {"hardware_manager_version": {"generic_hardware_manager": "1.2"}}
        told = {
            "get_clean_steps": {"clean_steps": {"M": self.clean_steps}, **version},
            "get_service_steps": {"service_steps": {"M": self.clean_steps}, **version},
            "get_deploy_steps": {"deploy_steps": {"M": self.deploy_steps}, **version},
            "get_partition_uuids": {"root uuid": "0x1"},
        }.get(command["name"], {"result": "done"})
        command |= {"status": SUCCEEDED, "result": told}


def _offer(interface: str, step: str, priority: int, **more: Any) -> dict[str, Any]:
    return {"interface": interface, "step": step, "priority": priority, **more}


def _result(command: Mapping[str, Any]) -> Result:
    return Result(
        id=command["id"],
        name=command["name"],
        status=command["status"],
        result=command["result"],
        error=command["error"],
    )
