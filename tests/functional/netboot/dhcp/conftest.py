"""Networks of their own for DHCP: a server, machines, a relay with a subnet behind it.

    client --- br0 (server, 172.22.0.1) --- relay (172.22.0.2 | 10.2.0.1) --- far
                |
             stranger (172.22.0.9): where foreign servers run

Real dnsmasq everywhere; machines are played by the client of ``drophammer doctor dhcp``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from drophammer.netns import Namespace
from netboot.dhcp.client import Client, Offer
from netboot.dhcp.packet import Packet
from netboot.dhcp.personas import PERSONAS, discover
from netboot.dhcp.sightings import Sighting
from netboot.options import GROUPS
from netboot.services.dhcp import DhcpServer
from netboot.settings import Settings
from tests.patience import PATIENCE

NEEDED = ("ip", "dnsmasq", "setpriv", "nsenter")
US = "172.22.0.1"
BASE = f"""
[netboot]
address = {US}
interface = br0
state_dir = /var/lib/drophammer/netboot
"""


class Net:
    """The namespaces, by role."""

    def __init__(self, mark: str) -> None:
        self.server, self.client = f"dhs{mark}", f"dhc{mark}"
        self.relay, self.far, self.stranger = f"dhr{mark}", f"dhf{mark}", f"dhx{mark}"
        self.all = (self.server, self.client, self.relay, self.far, self.stranger)

    def ip(self, words: str, inside: str = "") -> None:
        subprocess.run(Namespace(inside).command(["ip", *words.split()]), check=True)

    def build(self) -> None:
        for name in self.all:
            self.ip(f"netns add {name}")
            self.ip("link set lo up", name)
            # Duplicate address detection would keep addresses unusable for seconds.
            Namespace(name).call(_no_duplicate_address_detection)
        server = self.server
        self.ip("link add br0 type bridge stp_state 0 forward_delay 0", server)
        self.ip(f"addr add {US}/24 dev br0", server)
        self.ip("addr add fd00:22::1/64 dev br0 nodad", server)
        self.ip("link set br0 up", server)
        for number, other in enumerate((self.client, self.relay, self.stranger)):
            self.ip(f"link add port{number} type veth peer name card0 netns {other}", server)
            self.ip(f"link set port{number} master br0 up", server)
            self.ip("link set card0 up", other)
        self.ip("addr add 172.22.0.2/24 dev card0", self.relay)
        self.ip("addr add 172.22.0.9/24 dev card0", self.stranger)
        self.ip(f"link add down0 type veth peer name card0 netns {self.far}", self.relay)
        self.ip("addr add 10.2.0.1/24 dev down0", self.relay)
        self.ip("link set down0 up", self.relay)
        self.ip("link set card0 up", self.far)
        self.ip("route add 10.2.0.0/24 via 172.22.0.2", server)

    def remove(self) -> None:
        for name in self.all:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def _no_duplicate_address_detection() -> None:
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    if os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        pytest.skip(f"needs root and the programs {', '.join(NEEDED)}")
    net = Net(f"{os.getpid()}")
    try:
        net.build()
        yield net
    finally:
        net.remove()


@pytest.fixture
def dnsmasq(net: Net) -> Iterator[Callable[..., None]]:
    """Run somebody else's dnsmasq in a namespace; returns when it answers."""
    with contextlib.ExitStack() as stack:

        def run(namespace: str, *options: str) -> None:
            argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0"]
            argv += ["--log-facility=-", "--no-ping", "--user=root", "--pid-file", *options]
            argv += ["--leasefile-ro", "--bind-interfaces"]
            child = subprocess.Popen(
                Namespace(namespace).command(argv), stderr=subprocess.PIPE, text=True
            )
            assert child.stderr is not None
            stack.callback(child.stderr.close)
            stack.callback(child.wait, PATIENCE)
            stack.callback(child.terminate)
            for line in child.stderr:
                if "sockets bound" in line or "DHCP relay from" in line:
                    return
            pytest.fail(f"dnsmasq {' '.join(options)} did not start")

        yield run


def settings_of(text: str, folder: Path) -> Settings:
    file = folder / "drophammer.conf"
    file.write_text(BASE + text)
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=group)
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    return Settings.from_conf(conf)


@pytest.fixture
def subnets(tmp_path: Path) -> Callable[[str], Any]:
    """The DHCP settings of a configuration file with this text."""
    return lambda text: settings_of(text, tmp_path).dhcp


class Running:
    """A DHCP server, and what it told."""

    def __init__(self, server: DhcpServer) -> None:
        self.server = server
        self.sightings: list[Sighting] = []
        self.told = threading.Condition()

    def spotted(self, sighting: Sighting) -> None:
        with self.told:
            self.sightings.append(sighting)
            self.told.notify_all()

    def wait(self, enough: Callable[[list[Sighting]], bool]) -> list[Sighting]:
        with self.told:
            assert self.told.wait_for(lambda: enough(self.sightings), PATIENCE), self.sightings
            return list(self.sightings)


@pytest.fixture
def serve(
    net: Net, tmp_path: Path, subnets: Callable[[str], Any]
) -> Iterator[Callable[..., Running]]:
    """Start DHCP for subnets (text of a configuration) and machines."""
    with contextlib.ExitStack() as stack:

        def start(text: str, *hosts: tuple[Any, ...]) -> Running:
            running: Running

            def spotted(sighting: Sighting) -> None:
                running.spotted(sighting)

            server = DhcpServer(
                subnets(text),
                Namespace(net.server),
                address=US,
                script_url=f"tftp://{US}/boot.ipxe",
                folder=tmp_path / "dhcp",
                seen=lambda event: None,
                http_url=f"http://{US}:8080",
                foreign=spotted,
            )
            running = Running(server)
            stack.callback(server.stop)
            server.start(hosts)
            return running

        yield start


class Machine:
    """A machine on a network: DISCOVER and REQUEST as any kind of client."""

    def __init__(self, namespace: str, mac: str) -> None:
        self.client = Client("card0", Namespace(namespace))
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self._xid = int.from_bytes(self.mac[3:], "big") << 8

    def discover(self, arch: str = "bios", *, ipxe: bool = False) -> Packet:
        self._xid += 1
        return discover(PERSONAS[arch], self.mac, self._xid, ipxe=ipxe)

    def offers(
        self, arch: str = "bios", *, ipxe: bool = False, seconds: float = 0.5
    ) -> list[Offer]:
        return self.client.ask(self.discover(arch, ipxe=ipxe), seconds)

    def offer(self, arch: str = "bios", *, ipxe: bool = False) -> Packet:
        return self.answer(self.discover(arch, ipxe=ipxe))

    def answer(self, packet: Packet) -> Packet:
        """The first answer to a message."""
        found = self.client.ask(packet, PATIENCE, enough=1)
        assert found, "nobody answered"
        return found[0].packet


@pytest.fixture
def machine() -> Iterator[Callable[[str, str], Machine]]:
    with contextlib.ExitStack() as stack:

        def make(namespace: str, mac: str) -> Machine:
            machine = Machine(namespace, mac)
            stack.callback(machine.client.close)
            return machine

        yield make


@pytest.fixture
def us() -> IPv4Address:
    return IPv4Address(US)
