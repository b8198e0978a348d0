"""The main job as its user sees it: the demo, to its end and broken off, leaves nothing behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.faults import Faults
from lab.lab import Lab

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 400


class Demo:
    """One ``drophammer demo`` in a terminal's process group of its own."""

    def __init__(self, name: str, directory: Path, *arguments: str) -> None:
        self.name = name
        self.directory = directory / name
        self.output = ""
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "embedded",
                "demo",
                "--name",
                name,
                "--dir",
                str(directory),
                *arguments,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def read(self, until: str | None = None) -> str:
        """Output up to ``until``, or to the end; fails after a generous time."""
        assert self.process.stdout is not None
        end = time.monotonic() + SECONDS
        while until is None or until not in self.output:
            ready, _, _ = select.select([self.process.stdout], [], [], 1)
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b"-"
            if ready and not chunk:
                break
            self.output += chunk.decode() if ready else ""
            assert time.monotonic() < end, self.output
        if until is None:
            self.process.wait(60)
        return self.output

    def leftovers(self) -> list[str]:
        """Processes, namespaces and mounts that still carry the demo's name."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if str(self.directory) in line or f"dhlab-{self.name}" in line:
                    found.append(line)
        names = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True)
        found += [line for line in names.stdout.splitlines() if f"dhlab-{self.name}" in line]
        mounts = Path("/proc/mounts").read_text().splitlines()
        found += [line for line in mounts if str(self.directory) in line or self.name in line]
        lab = Lab(self.name).directory
        return [*found, str(lab)] if lab.exists() else found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(name: str, *arguments: str) -> Demo:
        made = Demo(name, tmp_path / "demo", *arguments)
        started.append(made)
        return made

    yield start
    for made in started:
        if made.process.poll() is None:
            made.process.send_signal(signal.SIGTERM)
            made.process.wait(60)
        assert made.process.stdout is not None
        made.process.stdout.close()


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize(
    ("boot", "interface"), [("bios", "ipxe"), ("uefi", "ipxe"), ("bios", "pxe")]
)
def test_an_empty_machine_becomes_a_running_system(
    demo: Callable[..., Demo], boot: str, interface: str
) -> None:
    running = demo(f"e2e-{boot}-{interface}", "--boot", boot, "--boot-interface", interface)
    output = running.read()
    assert running.process.returncode == 0, output
    assert re.search(r"the deployed system says: DROPHAMMER-UP hostname=hammer-1 keys=1", output)
    for state in ("verifying", "inspecting", "cleaning", "wait call-back", "active", "deleting"):
        assert re.search(rf"node-1 +{state}$", output, re.MULTILINE), f"{state}: {output}"
    assert re.search(r"image: +[\d.]+ of 64\.0 MiB written", output), output
    marks = re.findall(r"^ +[\d.]+ s +\+[\d.]+  (.+)$", output, re.MULTILINE)
    assert marks == [
        "deploy asked",
        "power on",
        "DHCP",
        "loader",
        "kernel",
        "ramdisk",
        "agent call-back",
        "write begins",
        "image written",
        "ramdisk off",
        "reboot",
        "system up",
    ]
    assert "taken back and cleaned" in output
    assert running.leftovers() == []


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_broken_off_leaves_nothing(demo: Callable[..., Demo], number: int) -> None:
    running = demo(f"e2e-stop-{number}")
    running.read(until="inspect wait")
    os.killpg(running.process.pid, number)
    output = running.read()
    assert running.process.returncode == 130, output
    assert "Traceback" not in output
    assert running.leftovers() == []


@pytest.mark.timeout(SECONDS)
def test_a_demo_that_fails_says_where_and_leaves_nothing_but_logs(
    demo: Callable[..., Demo],
) -> None:
    running = demo("e2e-fail")
    running.read(until="inspect wait")
    (machine,) = Lab(running.name).machines
    machine.break_bmc(Faults(refuse_power_on=True))
    output = running.read()
    assert running.process.returncode == 1, output
    assert "failed in stage 'provide'" in output
    assert "the node is 'clean failed'" in output
    assert re.search(r"on the wire:\n.*netboot +dhcp.*agent +inspection", output, re.DOTALL)
    assert "completion code 0xd5" in output
    assert "Its serial console ends with:" in output
    assert f"Logs: {running.directory}" in output
    assert (running.directory / "drophammer.log").exists()
    assert (running.directory / "node-1.serial.log").exists()
    assert running.leftovers() == []
