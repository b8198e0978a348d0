"""Machines to be sure of: real IPMI, the agent's real dialogue, and disks that count.

    python -m tests.chaos.machines ADDRESS COUNT FIRST_PORT NETBOOT_URL NOTES

Each has a controller of its own (IPMI 2.0 over UDP, ports from FIRST_PORT on), asks netboot
over HTTP what it boots, and when that is the ramdisk runs the agent with everything but its
disk: to write an image or to erase is to wait and to note. The notes are a file of JSON
lines that no conductor can write to. They say what was really done to a machine: whether
twice, and whether its power was cut in the middle of it.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agent import cmdline
from agent.commands import all_commands
from agent.conductor import ConductorApi
from agent.context import Context
from agent.errors import AgentError
from agent.hardware import Machine as Hardware
from agent.heartbeat import Heartbeats
from agent.jobs import Command, Jobs, Then
from agent.lookup import find_node
from agent.server import CommandServer
from drophammer.secret import Secret
from lab.bmc import LabBmc
from lab.bootflags import DISK, BootFlags
from lab.faults import FaultFile

USER, PASSWORD = "chaos", "machines"
BOOT_SECONDS = (1.0, 3.0)
WRITE_SECONDS = (4.0, 12.0)
ERASE_SECONDS = (2.0, 8.0)
# As iPXE's script: what netboot does not answer is asked again, for half a minute.
NETBOOT_TRIES, NETBOOT_PAUSE = 10, 3.0
IMAGE_PATH = "/image.raw"


def mac_of(number: int) -> str:
    """The machine's network card."""
    return f"52:54:00:c4:{number // 256:02x}:{number % 256:02x}"


@dataclass(frozen=True)
class Spec:
    """What a controller tells of its machine."""

    name: str
    uuid: uuid.UUID
    serial_socket: str = "/nonexistent"


class Notes:
    """The log of all machines, a line each, written at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def add(self, machine: int, what: str) -> None:
        with self._lock:
            line = {"at": time.time(), "machine": machine, "what": what}
            self._file.write(json.dumps(line) + "\n")


class Run:
    """The time from one power on to the next off or reset."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.jobs: Jobs | None = None
        self.endings: list[Callable[[], None]] = []


class Machine:
    """One machine, as its controller and its ramdisk see it."""

    def __init__(self, number: int, address: str, netboot: str, notes: Notes) -> None:
        self.spec = Spec(f"machine-{number}", uuid.uuid4())
        self.flags = BootFlags()
        self.number, self._address, self._netboot, self._notes = number, address, netboot, notes
        self._lock = threading.RLock()
        self._run: Run | None = None
        self._has_system = False

    # As the controller sees it

    @property
    def is_on(self) -> bool:
        return self._run is not None

    def power_on(self) -> None:
        with self._lock:
            if self._run is None:
                self._begin()

    def power_off(self) -> None:
        with self._lock:
            self._end("off")

    press_power_button = power_off

    def reset(self) -> None:
        with self._lock:
            if self._run is not None:
                self._end("reset")
                self._begin()

    power_cycle = reset

    def interrupt(self) -> None:
        self.note("nmi")

    def note(self, what: str) -> None:
        self._notes.add(self.number, what)

    def _begin(self) -> None:
        self.note("on")
        self._run = run = Run()
        threading.Thread(target=self._boot, args=(run,), daemon=True).start()

    def _end(self, how: str) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        job = run.jobs.running() if run.jobs else None
        if job is not None and job.command.name.partition(".")[2] not in ("power_off", "run_image"):
            self.note(f"torn {job.command.name}")
        self.note(how)
        run.over.set()
        for end in run.endings:
            end()

    # What it does by itself

    def _boot(self, run: Run) -> None:
        run.over.wait(random.uniform(*BOOT_SECONDS))
        if run.over.is_set():
            return
        if self.flags.take()[0] == DISK and self._has_system:
            self.note("system")
            return
        parameters = self._parameters(run)
        if parameters is None:
            self.note("system" if self._has_system else "nothing to boot")
            return
        try:
            self._serve(run, parameters)
        except AgentError as error:
            self.note(f"agent ended: {error.message}")

    def _parameters(self, run: Run) -> str | None:
        """The kernel's parameters that netboot gives; None for: boot from disk."""
        url = f"{self._netboot}/ipxe/{mac_of(self.number).replace(':', '-')}"
        for _ in range(NETBOOT_TRIES):
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    script = answer.read().decode()
                lines = [one for one in script.splitlines() if one.startswith("kernel ")]
                return lines[0] if lines else None
            except OSError:
                if run.over.wait(NETBOOT_PAUSE):
                    return None
        return None

    def _serve(self, run: Run, parameters: str) -> None:
        words = cmdline.parse(parameters) | {
            "ipa-listen-host": self._address,
            "ipa-listen-port": "0",
        }
        options = cmdline.Options(words)
        apis = [ConductorApi(options, url) for url in options.api_urls]
        found = find_node(apis, [mac_of(self.number)], options)
        context = Context(
            options, Hardware(), found.node, found.config, off=self.power_off, restart=self.reset
        )
        jobs = Jobs(self._commands(context, run), lambda: beats.nudge(), lambda: beats.look())
        server = CommandServer(self._address, 0, jobs, found.token, None)
        beats = Heartbeats(found, f"http://{self._address}:{server.port}", "", jobs.running)
        with self._lock:
            if run.over.is_set():
                server.server_close()
                return
            run.jobs, run.endings = jobs, [beats.stop, server.shutdown, server.server_close]
        server.serve_in_thread()
        beats.run()

    def _commands(self, context: Context, run: Run) -> list[Command]:
        """The agent's own, where they touch a disk with notes in its place."""

        def clean(progress: Any, step: Any, **_: Any) -> object:
            self._work(run, f"clean {step['step']}", ERASE_SECONDS)
            self._has_system = False
            return {"clean_result": "erased", "clean_step": step}

        def deploy(progress: Any, step: Any, **_: Any) -> object:
            self._work(run, f"deploy {step['step']}", WRITE_SECONDS)
            self._has_system = True
            return {"deploy_result": "done", "deploy_step": step}

        ours: dict[str, Callable[..., object]] = {
            "clean.execute_clean_step": clean,
            "deploy.execute_deploy_step": deploy,
            "image.install_bootloader": lambda progress, **_: "there is one",
            "standby.sync": lambda progress: "in sync",
            "standby.get_partition_uuids": lambda progress: {"root uuid": "0x12345678"},
            "standby.run_image": lambda progress: Then("restarting", self.reset),
            "standby.power_off": lambda progress: Then("turned off", self.power_off),
        }
        commands = all_commands(context)
        for command in commands:
            command.run = ours.get(command.name, command.run)
        return commands

    def _work(self, run: Run, what: str, seconds: tuple[float, float]) -> None:
        self.note(f"{what} begins")
        if run.over.wait(random.uniform(*seconds)):
            raise AgentError("the machine was switched off")
        self.note(f"{what} ends")


class _Image(BaseHTTPRequestHandler):
    """Tells that there is an image. Nobody reads it."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 20))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Run the machines until killed."""
    address, count, first, netboot, notes = sys.argv[1:]
    # The port before the controllers' is the images'.
    images = ThreadingHTTPServer((address, int(first) - 1), _Image)
    threading.Thread(target=images.serve_forever, daemon=True).start()
    log = Notes(Path(notes))
    for number, port in zip(range(int(count)), itertools.count(int(first))):
        machine = Machine(number, address, netboot, log)
        controller = LabBmc(
            machine,  # type: ignore[arg-type]
            machine.flags,
            FaultFile(Path("/nonexistent")),
            (USER, Secret(PASSWORD)),
            (address, port),
        )
        threading.Thread(target=controller.serve, daemon=True).start()
    print("up", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
