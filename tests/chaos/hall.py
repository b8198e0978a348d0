"""Real machines for the chaos: a lab of QEMU's, on a network that netboot and the APIs serve.

What became of their disks is read from the disks' files, and what was done to them from their
serial lines: neither goes through a conductor.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster.haproxy import RamdiskBalancer
from cluster.topology import Options
from drophammer.netns import Namespace
from lab import demo, network, serviceconf
from lab.console import SerialLog
from lab.lab import Lab, LabMachine, Plan
from tests.chaos.clients import Memory

IMAGE = "chaos.raw"
# The image takes half of it, and to overwrite it all takes a moment.
DISK_MIB = 128
# Long for a boot on a busy host without KVM, and short for who waits for the next one.
BOOT_AGAIN_SECONDS = 120
# What a machine may still take when it has to be booted again, twice.
SETTLE_SECONDS = 900.0
_WRITTEN = "command: deploy.execute_deploy_step begins"
_ERASED = "pass 1 of 1 with random data"
_CHUNK = 1 << 20
_CACHE = Path(__file__).parents[2] / ".cache"
# Between this network and the lab's, for what speaks IPMI in there.
_NEAR, _FAR = "10.99.2.1", "10.99.2.2"


def possible() -> bool:
    """Whether this host can have such machines."""
    return (
        os.geteuid() == 0
        and network.TUN_DEVICE.exists()
        and shutil.which("qemu-system-x86_64") is not None
    )


def prepare() -> None:
    """Make ramdisk and image unless they are there; needs the network outside of ours."""
    demo.prepare(_CACHE, demo.Teller())


@dataclass
class Host:
    """One machine, and what was deployed on it."""

    machine: LabMachine
    image: Path
    # Where the part of the serial line's log begins that is about the present job.
    _from: int = 0

    @property
    def body(self) -> dict[str, Any]:
        """The node, as the API wants it."""
        (described,) = self.machine.enrolment()["nodes"]
        del described["ports"]
        return {
            **described,
            "boot_interface": "ipxe",
            "deploy_interface": "direct",
            "properties": {
                "capabilities": f"boot_mode:{self.machine.firmware}",
                # So small a disk is only taken when it is asked for.
                "root_device": {"name": "/dev/vda"},
            },
        }

    def settle(self) -> None:
        """What comes from here on is about the next job."""
        self._from = SerialLog(self.machine.serial_log).size()

    def examine(self, verb: str, memory: Memory) -> None:
        """Note what is wrong with the machine when a deploy or a clean has ended well."""
        lines = SerialLog(self.machine.serial_log).lines(self._from)
        what = {"active": _WRITTEN, "deleted": _ERASED}[verb]
        times = sum(what in line for line in lines)
        name = self.machine.name
        if times > 1:
            memory.double.append(f"{name} {verb}: '{what}' {times} times")
        wrong = self._differs() if verb == "active" else self._is_dirty()
        if wrong:
            memory.lost.append(f"{name} {verb}: {wrong}")
        memory.looks += 1
        self.settle()

    def _differs(self) -> str:
        with self.image.open("rb") as wanted, self.machine.disk.open("rb") as disk:
            for place in range(0, self.image.stat().st_size, _CHUNK):
                part = wanted.read(_CHUNK)
                if disk.read(len(part)) != part:
                    return f"the disk is not the image in the MiB from byte {place} on"
        return ""

    def _is_dirty(self) -> str:
        with self.machine.disk.open("rb") as disk:
            for place in range(0, self.machine.disk.stat().st_size, _CHUNK):
                if any(disk.read(_CHUNK)):
                    return f"the disk is not empty in the MiB from byte {place} on"
        return ""


class Hall:
    """The lab in ``folder`` and who serves its network. Nothing is there before ``start``."""

    def __init__(self, folder: Path, machines: int, apis: int) -> None:
        self._folder = folder
        self._lab = Lab(f"chaos-{os.getpid()}", folder)
        self._plan = Plan(nodes=machines, disk=DISK_MIB)
        self._apis = [serviceconf.RAMDISK_API_PORT + number for number in range(1, apis + 1)]
        self.namespace = Namespace(self._lab.namespace)
        self._address = self._plan.addresses.ipv4.partition("/")[0]
        self._balancer = RamdiskBalancer(
            folder / "haproxy-ramdisks",
            serviceconf.RAMDISK_API_PORT,
            self._apis,
            listen=self._address,
            namespace=self.namespace,
        )

    @property
    def netboot_url(self) -> str:
        """Where machines of this network ask what they boot."""
        return f"http://{self._address}:{serviceconf.HTTP_PORT}"

    @cached_property
    def hosts(self) -> list[Host]:
        return [Host(one, self._images / IMAGE) for one in self._lab.machines]

    @property
    def instance_info(self) -> dict[str, str]:
        """What is deployed."""
        return {
            "image_source": serviceconf.image_url(self._plan.addresses, IMAGE),
            "image_checksum": (self._images / f"{IMAGE}.sha256").read_text().split()[0],
            "image_disk_format": "raw",
        }

    def options(self) -> Options:
        """What every process of Drophammer's is told of this network."""
        told = configparser.ConfigParser(interpolation=None, default_section="")
        told.read_string(
            serviceconf.render(
                namespace=self._lab.namespace,
                addresses=self._plan.addresses,
                state_dir=self._folder,
                boot_dir=self._boot,
                images_dir=self._images,
                boot_mode=self._plan.firmware,
            )
        )
        options: Options = {group: dict(told[group]) for group in ("conductor", "pxe", "netboot")}
        options["conductor"]["check_provision_state_interval"] = 5
        options["pxe"]["boot_retry_timeout"] = BOOT_AGAIN_SECONDS
        return options

    def options_of(self, name: str) -> Options:
        """And what one of them is told alone."""
        if name == "netboot":
            ports = {"http_port": serviceconf.HTTP_PORT, "tftp_port": 69}
            return {"netboot": {"address": self._address, **ports}}
        if name.startswith("api-"):
            port = self._apis[int(name.removeprefix("api-")) - 1]
            return {"serve": {"ramdisk_listen": f"{self._address}:{port}"}}
        return {}

    def start(self, address: str) -> None:
        """Make machines and network; ``address`` is to be in there, and reached from here."""
        boot, image = demo.prepare(_CACHE, demo.Teller())
        shutil.copytree(boot, self._boot)
        self._images.mkdir()
        shutil.copy(image, self._images / IMAGE)
        shutil.copy(f"{image}.sha256", self._images / f"{IMAGE}.sha256")
        self._lab.up(self._plan)
        _ip(f"link add near type veth peer name far netns {self._lab.namespace}")
        _ip(f"addr add {_NEAR}/30 dev near")
        _ip("link set near up")
        _ip(f"addr add {_FAR}/30 dev far", self.namespace)
        _ip("link set far up", self.namespace)
        _ip(f"addr add {address}/32 dev lo", self.namespace)
        _ip(f"route add {address}/32 via {_FAR}")

    def open(self) -> None:
        """Let ramdisks in; the APIs must be there."""
        self._balancer.start()

    def stop(self) -> None:
        """End all of it, but for what the machines have said."""
        self._balancer.stop()
        if self._lab.is_up:
            for machine in self._lab.machines:
                if machine.serial_log.exists():
                    shutil.copy(machine.serial_log, self._folder / f"{machine.name}.serial.log")
        self._lab.down(force=True)

    @property
    def _boot(self) -> Path:
        return self._folder / "boot"

    @property
    def _images(self) -> Path:
        return self._folder / "images"


def _ip(command: str, namespace: Namespace | None = None) -> None:
    namespace = namespace or Namespace()
    subprocess.run(namespace.command(["ip", *command.split()]), check=True)
