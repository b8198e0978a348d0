"""kill -9 of the service under real machines: every one of them gets where it was going.

One lab and one service for the module. Three machines are deployed at once and the service
dies three times on the way; it dies once more while their disks are erased. In between one
of them is rescued and given back. Nobody helps but the one who starts the service again.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from drophammer import states
from drophammer.netns import Namespace
from lab import demo, network, serviceconf
from lab.console import SerialLog
from lab.lab import Lab, LabMachine, Plan
from lab.life import UP, sidecar
from lab.rest import Rest

# The first test also waits for kernel, ramdisk and image, when there are none yet.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500)]

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
MACHINES = 3
IMAGE = "good.raw"
# Small, for all of it is overwritten: long enough to be met at it, with or without KVM.
DISK_MIB = 256
# Limits, not what it takes: a boot takes some ten seconds on a quiet machine without KVM.
POLL_SECONDS = 0.05
SOON = 30
LONG = 240
# Firmware waits some seconds only for a service that is being started, and then stands still.
BOOT_AGAIN = 60
OPTIONS = f"""\
[deploy]
erase_devices_priority = 10
erase_devices_metadata_priority = 0

[pxe]
boot_retry_timeout = {BOOT_AGAIN}

[conductor]
check_provision_state_interval = 2
"""


class Service:
    """One ``drophammer serve``, to be killed and started again at the same address."""

    def __init__(self, folder: Path, configs: list[Path]) -> None:
        port = demo.free_port()
        self.rest = Rest(f"http://127.0.0.1:{port}")
        self._log = folder / "drophammer.log"
        self._command = [sys.executable, "-m", "embedded", "serve"]
        self._command += ["--listen", f"127.0.0.1:{port}"]
        for config in configs:
            self._command += ["--config-file", str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("a") as out:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=out, stderr=out)
        end = time.monotonic() + demo.SERVICE_START_SECONDS
        while not self.rest.answers():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the service did not start: {self._log.read_text()[-3000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: nothing is put in order."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.rest.close()

    def stop(self) -> None:
        self.rest.close()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(demo.SERVICE_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass
class Host:
    """One machine with the node that stands for it."""

    machine: LabMachine
    node: str
    # Where the part of the serial log begins that is about the present piece of work.
    console_from: int = 0

    @property
    def serial(self) -> SerialLog:
        return SerialLog(self.machine.serial_log)

    def said(self, words: str) -> int:
        """In how many lines of the console these words stand, since the work began."""
        return sum(words in line for line in self.serial.lines(self.console_from))

    def is_up(self) -> str:
        """The name that the deployed system gives itself when it has booted."""
        return self.serial.wait(UP, SOON * 4, self.console_from).match[1]


class Site:
    """Machines, their nodes, and the service that looks after both."""

    def __init__(self, lab: Lab, folder: Path, service: Service) -> None:
        self.folder = folder
        self.service = service
        self.rest = service.rest
        self.namespace = Namespace(lab.namespace)
        self.image = folder / "images" / IMAGE
        self.hosts = [Host(machine, self._enrol(machine)) for machine in lab.machines]

    def _enrol(self, machine: LabMachine) -> str:
        (described,) = machine.enrolment()["nodes"]
        (port,) = described.pop("ports")
        body = {
            **described,
            "boot_interface": "ipxe",
            "rescue_interface": "agent",
            "automated_clean": False,
            "properties": {
                "capabilities": f"boot_mode:{machine.firmware}",
                # So small a disk is only taken when it is asked for.
                "root_device": {"name": "/dev/vda"},
            },
        }
        node = str(self.rest.post("/v1/nodes", body)["uuid"])
        self.rest.post("/v1/ports", {"node_uuid": node, **port})
        return node

    # As an operator

    def ask(self, host: Host, verb: str, **more: Any) -> None:
        """Begin a piece of work."""
        host.console_from = host.serial.size()
        self.rest.put(f"/v1/nodes/{host.node}/states/provision", {"target": verb, **more})

    def change(self, host: Host, **values: Any) -> None:
        """Set fields of the node, ``instance_info__x`` being the key x in one of them."""
        steps = [
            {"op": "add", "path": "/" + name.replace("__", "/"), "value": value}
            for name, value in values.items()
        ]
        self.rest.patch(f"/v1/nodes/{host.node}", steps)

    def operation(self, host: Host) -> Json:
        found: Json = self.rest.get(f"/v1/nodes/{host.node}/operations?limit=1")["operations"][0]
        return found

    def step(self, host: Host, name: str) -> Json:
        """A step of the operation under way, by its name; empty when it is not planned."""
        steps: list[Json] = self.operation(host)["steps"]
        return next((step for step in steps if step["step"] == name), {})

    def is_at_work(self, host: Host) -> bool:
        state = self.rest.get(f"/v1/nodes/{host.node}/states")["provision_state"]
        return not states.is_resting(state)

    def events(self, host: Host, after: int = 0) -> list[Json]:
        """All events behind the one with the id ``after``, oldest first."""
        found: list[Json] = []
        while True:
            page = self.rest.get(f"/v1/nodes/{host.node}/events?after={after}&limit=500")
            if not page["events"]:
                return found
            found += page["events"]
            after = page["next_after"]

    # Waiting

    def first(self, condition: Callable[[Host], object], what: str) -> Host:
        """The first machine for which ``condition`` holds."""
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            for host in self.hosts:
                if condition(host):
                    return host
            assert any(self.is_at_work(host) for host in self.hosts), self.told()
            time.sleep(POLL_SECONDS)
        return pytest.fail(f"not within {LONG} s: {what}. {self.told()}")

    def ends(self, host: Host, state: str) -> None:
        """Fails unless the node comes to rest in ``state`` as if nothing had been."""
        end = time.monotonic() + LONG
        while True:
            now = self.rest.get(f"/v1/nodes/{host.node}")
            if states.is_resting(now["provision_state"]):
                break
            if time.monotonic() > end:
                pytest.fail(f"{host.machine.name} is not at rest after {LONG} s. {self.told()}")
            time.sleep(5 * POLL_SECONDS)
        assert now["provision_state"] == state, self.told()
        assert now["reservation"] is None
        assert not now["maintenance"]
        assert now["last_error"] is None
        done = self.operation(host)
        assert {done["state"], *(step["state"] for step in done["steps"])} == {"done"}

    def told(self) -> str:
        """What a person would want to know of machines that are not where they should be."""
        lines = []
        for host in self.hosts:
            node = self.rest.get(f"/v1/nodes/{host.node}")
            power = "on" if host.machine.is_on else "off"
            lines.append(
                f"{host.machine.name} ({power}): '{node['provision_state']}', {node['last_error']}"
            )
            lines += [
                f"  {event['at'][11:23]} {event['source']} {event['kind']}: {event['message']}"
                for event in self.events(host)[-15:]
            ]
            lines += [f"  | {line[:160]}" for line in host.serial.tail(10).splitlines()]
        return "\n".join(["", *lines])

    def dies_when(self, condition: Callable[[Host], object], what: str) -> Host:
        """Kill the service at this moment, and start it again; the machine that was met."""
        host = self.first(condition, what)
        self.service.kill()
        print(f"killed: {host.machine.name}: {what}")
        self.service.start()
        return host


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Machines that are off, their nodes "available"."""
    if os.geteuid() != 0 or not network.TUN_DEVICE.exists():
        pytest.skip(f"needs root and {network.TUN_DEVICE}")
    folder = tmp_path_factory.mktemp("killed")
    boot_dir, image = demo.prepare(ROOT / ".cache", demo.Teller())
    (folder / "images").mkdir()
    shutil.copy(image, folder / "images" / IMAGE)
    shutil.copy(f"{image}.sha256", folder / "images" / f"{IMAGE}.sha256")
    plan = Plan(nodes=MACHINES, firmware="bios", disk=DISK_MIB)
    with Lab(f"kill-{os.getpid()}", folder / "lab") as lab:
        lab.up(plan)
        usual, ours = folder / "drophammer.conf", folder / "ours.conf"
        usual.write_text(
            serviceconf.render(
                namespace=lab.namespace,
                addresses=plan.addresses,
                state_dir=folder / "state",
                boot_dir=boot_dir,
                images_dir=folder / "images",
                boot_mode=plan.firmware,
            )
        )
        ours.write_text(OPTIONS)
        service = Service(folder, [usual, ours])
        try:
            service.start()
            site = Site(lab, folder, service)
            for verb, state in (("manage", states.MANAGEABLE), ("provide", states.AVAILABLE)):
                for host in site.hosts:
                    site.ask(host, verb)
                for host in site.hosts:
                    site.ends(host, state)
            yield site
        finally:
            service.stop()


@pytest.fixture(scope="module")
def deployed(site: Site) -> Site:
    """The same machines, "active": the service was killed three times meanwhile."""
    for host in site.hosts:
        site.change(
            host,
            instance_info__image_source=serviceconf.image_url(network.Addresses(), IMAGE),
            instance_info__image_checksum=sidecar(site.image),
            instance_info__image_disk_format="raw",
        )
        drive = {"meta_data": {"hostname": host.machine.name}}
        site.ask(host, "active", configdrive=drive)
    site.dies_when(lambda host: _heard(site, host, "netboot"), "its firmware asks the network")
    site.dies_when(lambda host: _heard(site, host, "agent"), "its ramdisk calls back")
    host = site.dies_when(lambda host: _is_written(site, host), "its image is written")
    host.serial.wait("agent: image: .*; going on at byte", SOON, host.console_from)
    for host in site.hosts:
        site.ends(host, states.ACTIVE)
    return site


def _heard(site: Site, host: Host, source: str) -> bool:
    return any(event["source"] == source for event in site.events(host))


def _is_written(site: Site, host: Host) -> bool:
    """Whether the agent reads the image, which comes from the service that is to die."""
    reads = any(event["message"].startswith("image: sending") for event in site.events(host))
    return reads and _agent_is_at(site, host, "write_image")


def _agent_is_at(site: Site, host: Host, name: str) -> bool:
    """Whether the agent is known to have begun with a step, and not to have ended."""
    step = site.step(host, name)
    return bool(step) and step["state"] == "running" and "command" in step["reached"]


def test_machines_are_deployed_through_three_deaths_of_the_service(deployed: Site) -> None:
    image = deployed.image.read_bytes()
    for host in deployed.hosts:
        assert host.is_up() == host.machine.name
        assert host.said("command: deploy.execute_deploy_step begins") == 1
        with host.machine.disk.open("rb") as disk:
            # Before that stands the partition table, where the config drive was added.
            disk.seek(MIB)
            assert disk.read(len(image) - MIB) == image[MIB:]


def test_an_operator_logs_into_a_rescued_machine_and_gives_it_back(deployed: Site) -> None:
    host = deployed.hosts[0]
    password = "let-me-in-Now"
    deployed.ask(host, "rescue", rescue_password=password)
    deployed.ends(host, states.RESCUE)
    beats = [event for event in deployed.events(host) if event["kind"] == "heartbeat"]
    address = urlsplit(beats[-1]["data"]["url"]).hostname
    assert address is not None
    assert ipaddress.ip_address(address) in ipaddress.ip_network("172.22.0.0/24")
    # The partition that the image has brought along, with the boot sector of its file system.
    script = "echo $USER; id -u; dd if=/dev/vda1 bs=512 count=1 2>/dev/null | sha256sum"
    user, number, digest = _ssh(deployed, address, password, script).splitlines()
    assert (user, number) == ("rescue", "0")
    assert digest.split()[0] == hashlib.sha256(_sector(deployed.image, 2048)).hexdigest()
    assert password not in host.serial.path.read_text(errors="replace")
    deployed.ask(host, "unrescue")
    deployed.ends(host, states.ACTIVE)
    assert host.is_up() == host.machine.name


def _sector(file: Path, number: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(512 * number)
        return opened.read(512)


def _ssh(site: Site, address: str, password: str, script: str) -> str:
    """What ``script`` prints on a machine where one may log in as "rescue"."""
    teller = site.folder / "askpass"
    teller.write_text('#!/bin/sh\necho "$RESCUE_PASSWORD"\n')
    teller.chmod(0o700)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20"]
    options += ["PreferredAuthentications=password", "NumberOfPasswordPrompts=1"]
    command = ["ssh", "-F", "none", *(word for one in options for word in ("-o", one))]
    done = subprocess.run(
        site.namespace.command([*command, f"rescue@{address}", script]),
        env={
            "PATH": os.environ["PATH"],
            "SSH_ASKPASS": str(teller),
            "SSH_ASKPASS_REQUIRE": "force",
            "RESCUE_PASSWORD": password,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SOON * 2,
    )
    assert done.returncode == 0, f"{done.stderr}\n{site.told()}"
    return done.stdout


def test_disks_are_erased_once_though_the_service_dies_meanwhile(deployed: Site) -> None:
    for host in deployed.hosts:
        deployed.change(host, automated_clean=True)
        deployed.ask(host, "deleted")
    deployed.dies_when(
        lambda host: _agent_is_at(deployed, host, "erase_devices"), "its disk is erased"
    )
    for host in deployed.hosts:
        deployed.ends(host, states.AVAILABLE)
        assert host.said("command: clean.execute_clean_step begins") == 1
        assert host.said("pass 1 of 1 with random data") == 1
        assert not any(host.machine.disk.read_bytes())
