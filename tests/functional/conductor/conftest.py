"""A real conductor on a real store and bus, and agents it can talk to."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from conductor.process import ConductorProcess
from conductor.settings import Settings
from drophammer.errors import Unavailable
from drophammer.model import Agent, Node, Port, new_uuid
from drophammer.store import Store
from tests import buses
from tests.databases import copied
from tests.patience import PATIENCE, until


class Scene:
    """One conductor and what a test asks of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.bus = buses.bus(store)
        self.settings = Settings(host="test", workers=8, heartbeat_interval=5, sweep_interval=5)
        self.process: ConductorProcess | None = None

    def start(self, **changes: Any) -> ConductorProcess:
        self.settings = replace(self.settings, **changes)
        self.process = ConductorProcess(self.settings, self.store, self.bus)
        self.process.start()
        return self.process

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def node(self, state: str = "enroll", **fields: Any) -> int:
        with self.store.write() as session:
            node = Node(
                uuid=new_uuid(),
                driver="fake-hardware",
                provision_state=state,
                created_at=self.store.clock.now(),
                **fields,
            )
            session.add(node)
            session.flush()
            return node.id

    def get(self, node_id: int) -> Node:
        with self.store.read() as session:
            return session.get_one(Node, node_id)

    def provision(self, node_id: int, target: str, **request: Any) -> None:
        self.bus.call("conductor", "provision", node_id=node_id, target=target, request=request)

    def until(
        self,
        node_id: int,
        wanted: Callable[[Node], bool],
        *,
        free: bool = True,
    ) -> Node:
        """The node as soon as ``wanted`` is true of it; fails with what it is otherwise."""
        # Less than what a conductor waits for at most before it looks by itself.
        end = time.monotonic() + PATIENCE / 2
        while True:
            node = self.get(node_id)
            if wanted(node) and (node.lease_owner is None or not free):
                return node
            assert time.monotonic() < end, (
                f"still {node.provision_state}, lease {node.lease_purpose}: {node.last_error}"
            )
            time.sleep(0.01)

    def machine(self, state: str, **fields: Any) -> int:
        """A node that is booted over the network and deployed through an agent."""
        self.netboot = Netboot()
        self.bus.serve("netboot", self.netboot, "test")
        node_id = self.node(
            state,
            deploy_interface="direct",
            boot_interface="ipxe",
            inspect_interface="agent",
            properties={"capabilities": "boot_mode:bios"},
            **fields,
        )
        with self.store.write() as session:
            session.add(
                Port(
                    uuid=new_uuid(),
                    node_id=node_id,
                    address="52:54:00:00:00:01",
                    created_at=self.store.clock.now(),
                )
            )
        return node_id

    def call_back(self, node_id: int, agent: ScriptedAgent) -> None:
        """A heartbeat of the node's agent, as the API passes it on."""
        with self.store.write() as session:
            row = session.get_one(Agent, node_id)
            row.url, row.token, row.version = agent.url, agent.token, "1"
            row.beats += 1
            row.last_beat = self.store.clock.now()
        self.bus.cast("conductor", "heartbeat", node_id=node_id)

    def until_state(self, node_id: int, state: str) -> Node:
        return self.until(node_id, lambda node: node.provision_state == state)


class ScriptedAgent:
    """A ramdisk agent: a real HTTP server that speaks the command API and does as told."""

    def __init__(self, token: str = "t" * 43) -> None:
        self.token = token
        self.commands: list[dict[str, Any]] = []
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.requests = 0
        self.clean_steps = [
            {"interface": "deploy", "step": "erase_devices_metadata", "priority": 99},
            {"interface": "deploy", "step": "erase_devices", "priority": 10, "abortable": True},
        ]
        self.deploy_steps: list[dict[str, Any]] = []
        self.service_steps: list[dict[str, Any]] = []
        self.error: str | None = None
        self.mismatches = 0
        self.version = "1.2"
        self.refuse: str | None = None
        self.clean_result: Any = None
        self.hold = False
        self.on_power_off: Any = lambda: None
        self.on_command: Any = lambda name: None
        self.deaf = False
        self.drip = False
        self.offer: Any = None
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                agent._answer(self, None)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                agent._answer(self, json.loads(self.rfile.read(length)))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def names(self) -> list[str]:
        return [name for name, _ in self.received]

    def until(self, wanted: Callable[[], bool]) -> None:
        """Wait for something that shows in what was received."""
        until(wanted, self.names, pause=0.005)

    def finish(self) -> None:
        """End the command that runs."""
        for command in self.commands:
            self._end(command)

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any] | None) -> None:
        self.requests += 1
        query = parse_qs(urlsplit(handler.path).query)
        if self.deaf:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif self.drip:
            self._drip(handler)
        elif query.get("agent_token") != [self.token]:
            self._send(handler, 401, {"faultcode": "Client", "faultstring": "Token invalid."})
        elif body is None:
            self._send(handler, 200, {"commands": self.commands})
        elif any(c["command_status"] == "RUNNING" for c in self.commands):
            self._send(handler, 409, {"faultcode": "Client", "faultstring": "Agent is busy: no"})
        else:
            self._send(handler, 200, self._run(body["name"], body["params"]))

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            handler.close_connection = True

    def _run(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        self.received.append((name, params))
        command = {
            "id": str(uuid.uuid4()),
            "command_name": name.split(".")[1],
            "command_status": "RUNNING",
            "command_error": None,
            "command_result": None,
        }
        self.commands.append(command)
        self.on_command(name)
        sync = ".get_" in name or name.startswith(("standby.power", "rescue."))
        if sync or not self.hold:
            self._end(command)
        if name == "standby.power_off":
            self.on_power_off()
        return command

    def _end(self, command: dict[str, Any]) -> None:
        if command["command_status"] != "RUNNING":
            return
        name = command["command_name"]
        if self.error and name.startswith("execute"):
            command["command_status"] = "FAILED"
            command["command_error"] = {"type": "X", "code": 500, "message": self.error}
            return
        if self.refuse and name == "finalize_rescue":
            command["command_status"] = "FAILED"
            command["command_error"] = {"type": "X", "code": 500, "message": self.refuse}
            return
        if self.mismatches and name.startswith("execute"):
            self.mismatches -= 1
            command["command_status"] = "CLEAN_VERSION_MISMATCH"
            command["command_error"] = {"type": "VersionMismatch", "code": 500, "message": "x"}
            return
        command["command_status"] = "SUCCEEDED"
        version = {"hardware_manager_version": {"generic_hardware_manager": self.version}}
        command["command_result"] = {
            "get_clean_steps": {
                "clean_steps": self.offer or {"Generic": self.clean_steps},
                **version,
            },
            "get_deploy_steps": {"deploy_steps": {"Generic": self.deploy_steps}, **version},
            "get_service_steps": {"service_steps": {"Generic": self.service_steps}, **version},
            "execute_clean_step": {"clean_result": self.clean_result},
            "get_partition_uuids": {"root uuid": "0x1", "efi system partition uuid": "ABCD-1"},
        }.get(name, {"result": f"{name}: done"})

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


class Netboot:
    """The bus endpoint that makes machines boot: notes what it was asked."""

    def __init__(self) -> None:
        self.prepared: list[int] = []
        self.pinned: list[list[str]] = []
        self.away = 0

    def pin(self, urls: list[str]) -> list[str]:
        self.pinned.append(urls)
        return [url.replace(":///", ":///snapshot-20260101-000000/") for url in urls]

    def prepare(self, node_id: int) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("netboot is being restarted")
        self.prepared.append(node_id)


@pytest.fixture
def agent() -> Iterator[ScriptedAgent]:
    agent = ScriptedAgent()
    yield agent
    agent.close()


class ImageServer:
    """Answers HEAD for one image; the first ``busy`` times that it is busy."""

    def __init__(self) -> None:
        self.busy = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                found, busy = self.path == "/image.raw", server.busy > 0
                server.busy -= busy
                self.send_response(503 if busy else 200 if found else 404)
                self.send_header("Content-Length", "1048576" if found else "0")
                self.end_headers()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def image_server() -> Iterator[ImageServer]:
    server = ImageServer()
    yield server
    server.close()


@pytest.fixture
def scene(tmp_path: Path, empty_database: Path) -> Iterator[Scene]:
    scene = Scene(copied(empty_database, tmp_path / "drophammer.sqlite"))
    yield scene
    scene.stop()
    scene.bus.close()
    scene.store.close()
