"""A controller process with a machine behind it whose QEMU is a small stand-in program."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import faults, hardware, machine, processes, supervisor
from tests.patience import PATIENCE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PASSWORD = "correct-horse-1"


class Controller:
    """One running supervisor process and the ways to talk to it."""

    def __init__(self, directory: Path, program: Path) -> None:
        self.directory = directory
        self.spec = hardware.MachineSpec(
            name="node-1", directory=directory, mac="52:54:00:22:00:01", program=str(program)
        )
        machine.prepare(self.spec, disk_mib=64)
        (directory / supervisor.SPEC_FILE).write_text(json.dumps(self.spec.to_json()))
        self.password_file = directory / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start the supervisor on a free port, or on the port it had before."""
        argv = [sys.executable, "-m", "lab.supervisor", str(self.directory)]
        argv += ["--port", str(self.port), "--password-file", str(self.password_file)]
        with open(self.directory / "bmc.log", "ab") as log:
            self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.port = json.loads(said.readline())["port"]

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=PATIENCE)

    def break_it(self, **switches: object) -> None:
        faults.write(self.directory, faults.Faults(**switches))  # type: ignore[arg-type]

    def qemu(self) -> processes.Process | None:
        return processes.recorded(self.directory / "qemu.pid")

    def boots(self) -> list[list[str]]:
        """The device order of each boot of the stand-in, oldest first."""
        try:
            text = (self.directory / "boots").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines()]

    def ipmitool(
        self, *words: str, suite: int = 17, user: str = "admin", password: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ipmitool; it gives up after some seconds, and repeats what is lost."""
        argv = ["ipmitool", "-I", "lanplus", "-C", str(suite), "-H", "127.0.0.1"]
        argv += ["-p", str(self.port), "-U", user, "-f", str(password or self.password_file)]
        return subprocess.run(
            [*argv, "-N", "2", "-R", "4", *words], capture_output=True, text=True, timeout=PATIENCE
        )

    def pyghmi(self, *calls: list[object], password: str = PASSWORD) -> list[object]:
        """Make calls on one pyghmi session in a process of its own; their results."""
        job = {"port": self.port, "password": password, "calls": calls}
        done = subprocess.run(
            [sys.executable, str(HERE / "pyghmi_client.py")],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        results: list[object] = json.loads(done.stdout)
        return results


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    if shutil.which("ipmitool") is None:
        pytest.skip("needs the package ipmitool")
    program = tmp_path / "qemu-stand-in"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "standin_qemu.py"} "$@"\n')
    os.chmod(program, 0o755)
    one = Controller(tmp_path / "node-1", program)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.stop()
