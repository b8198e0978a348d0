"""The agents of any number of machines, in one small server: each has a step that never ends."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What both servers have in their lists of steps to run by hand.
STEP = {"interface": "deploy", "step": "erase_devices_metadata"}


class Ramdisks:
    """Answers the command API; which machine is meant is told by the token."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self._commands: dict[str, list[dict[str, Any]]] = {}

    def answer(self, method: str, target: str, body: Any) -> Any:
        """What the agent says: one command, or all it was ever told."""
        self.asked += 1
        commands = self._commands.setdefault(parse_qs(urlsplit(target).query)["agent_token"][0], [])
        if method == "GET":
            return {"commands": commands}
        commands.append(_command(body["name"].partition(".")[2], body["params"]))
        return commands[-1]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                lengths = [line[15:] for line in head if line.lower().startswith("content-length:")]
                data = await reader.readexactly(int(lengths[0])) if lengths else b""
                method, target, _ = head[0].split(" ")
                found = json.dumps(self.answer(method, target, json.loads(data or b"null")))
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(found), found.encode())
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextmanager
def ramdisks() -> Iterator[Ramdisks]:
    """Such a server, on a thread of its own, at an address that is not loopback."""
    found, up = Ramdisks(), threading.Event()
    loop, enough = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(found.talk, "0.0.0.0", 0)
        found.url = f"http://{own_address()}:{server.sockets[0].getsockname()[1]}"
        up.set()
        await enough.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    up.wait()
    yield found
    loop.call_soon_threadsafe(enough.set)
    thread.join()


def own_address() -> str:
    """The address that this machine has towards others: agents on loopback are refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def _command(name: str, params: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "command_name": name,
        "command_params": params,
        "command_status": "RUNNING",
        "command_error": None,
        "command_result": None,
    }
    if name == "get_clean_steps":
        step = {**STEP, "priority": 0, "reboot_requested": False}
        told["command_status"] = "SUCCEEDED"
        told["command_result"] = {
            "hardware_manager_version": {"generic": "1"},
            "clean_steps": {"generic": [step]},
        }
    return told
