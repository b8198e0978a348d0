"""A host in several networks: it answers on all its addresses, as they come and go."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drophammer.netns import Namespace
from netboot.server import NetbootServer
from tests.localroutes import until_local
from tests.patience import PATIENCE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces")

MAC = "52:54:00:22:00:01"


class Network:
    """A namespace for the server and one for a machine, with a cable between them."""

    def __init__(self) -> None:
        self.server = Namespace(f"nball{uuid.uuid4().hex[:8]}")
        self.machine = Namespace(f"nballm{uuid.uuid4().hex[:8]}")

    def __enter__(self) -> Network:
        for namespace in (self.server, self.machine):
            ip(f"netns add {namespace.name}")
            ip("link set lo up", namespace)
        ip(f"link add card0 type veth peer name card1 netns {self.machine.name}", self.server)
        ip(f"link set card1 address {MAC} up", self.machine)
        ip("link set card0 up", self.server)
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in (self.server, self.machine):
            ip(f"netns del {namespace.name}")

    def address(self, ours: str, theirs: str) -> None:
        """An address more for the server, and one in the same network for the machine."""
        ip(f"address add {ours} dev card0 {'nodad' if ':' in ours else ''}", self.server)
        ip(f"address add {theirs} dev card1 {'nodad' if ':' in ours else ''}", self.machine)
        if ":" in ours:
            until_local(ours.partition("/")[0], "card0", self.server)
            until_local(theirs.partition("/")[0], "card1", self.machine)

    def fetch(self, address: str, port: int, name: str) -> tuple[bytes, str]:
        """The first block of a file or an error, and the address that it came from."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.machine.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            parts = ["\0\1" + name, "octet", "blksize", "1400", ""]
            sock.sendto("\0".join(parts).encode(), (address, port))
            data, peer = sock.recvfrom(2000)
            while data[1] == 6:
                sock.sendto(b"\0\4\0\0", peer)
                data, peer = sock.recvfrom(2000)
            if data[1] == 3:
                sock.sendto(b"\0\4\0\1", peer)
            return data, peer[0]


def ip(words: str, inside: Namespace | None = None) -> None:
    subprocess.run(
        (inside or Namespace()).command(["ip", *words.split()]), check=True, timeout=PATIENCE
    )


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def start(deployment: Any, network: Network) -> Callable[..., NetbootServer]:
    def start(**changes: Any) -> NetbootServer:
        options = {"network_namespace": network.server.name, "address": "172.22.0.1"}
        server: NetbootServer = deployment.server(**options, **changes)
        server.start()
        return server

    return start


@pytest.mark.seed("s11")
def test_addresses_that_come_later_are_answered_on_ipv4_and_ipv6(
    network: Network, start: Callable[..., NetbootServer]
) -> None:
    network.address("172.22.0.1/24", "172.22.0.50/24")
    server = start(listen_all=True)
    for ours, theirs in (
        ("", ""),
        ("10.7.0.1/16", "10.7.0.9/16"),
        ("fd00:7::1/64", "fd00:7::9/64"),
    ):
        if ours:
            network.address(ours, theirs)
        address = ours.partition("/")[0] or "172.22.0.1"
        data, peer = network.fetch(address, server.tftp_port, "boot.ipxe")
        assert data[:4] == b"\0\3\0\1"
        assert peer == address
        # What a machine is told to fetch next is where it can reach us.
        host = f"[{address}]" if ":" in address else address
        assert f"chain --replace http://{host}:".encode() in data


@pytest.mark.seed("s11")
def test_an_address_that_is_gone_hinders_no_other(
    network: Network, start: Callable[..., NetbootServer]
) -> None:
    network.address("172.22.0.1/24", "172.22.0.50/24")
    network.address("10.7.0.1/16", "10.7.0.9/16")
    server = start(listen_all=True)
    ip("address del 172.22.0.1/24 dev card0", network.server)
    assert network.fetch("10.7.0.1", server.tftp_port, "boot.ipxe")[1] == "10.7.0.1"
    network.address("172.22.0.1/24", "172.22.0.51/24")
    assert network.fetch("172.22.0.1", server.tftp_port, "boot.ipxe")[1] == "172.22.0.1"


@pytest.mark.seed("s11")
def test_a_request_to_everybody_is_not_answered(
    network: Network, start: Callable[..., NetbootServer]
) -> None:
    network.address("172.22.0.1/24 broadcast 172.22.0.255", "172.22.0.50/24")
    server = start(listen_all=True)
    with network.machine.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.settimeout(0.5)
        sock.sendto(b"\0\1boot.ipxe\0octet\0", ("172.22.0.255", server.tftp_port))
        with pytest.raises(TimeoutError):
            sock.recvfrom(2000)
    assert network.fetch("172.22.0.1", server.tftp_port, "boot.ipxe")[1] == "172.22.0.1"


@pytest.mark.seed("s11")
def test_what_a_machine_fetches_is_told_by_its_card_without_any_lease(
    deployment: Any, network: Network, start: Callable[..., NetbootServer]
) -> None:
    network.address("172.22.0.1/24", "172.22.0.50/24")
    deployment.snapshot(
        "snapshot-20260101-101500", {"ubuntu/x/boot-kernel": b"k", "chain.c32": b"c"}
    )
    node_id = deployment.node(MAC)
    server = start()
    for name in ("chain.c32", "ubuntu/x/boot-kernel", "nothing/of/ours"):
        network.fetch("172.22.0.1", server.tftp_port, name)
    found = deployment.wait_events(node_id, lambda seen: len(seen) >= 4)
    assert [re.sub(r" in [0-9.]+ s", "", event.message) for event in found] == [
        "loader chain.c32: 1 bytes",
        "kernel: sending to 172.22.0.50",
        "kernel ubuntu/x/boot-kernel: 1 bytes",
        "file nothing/of/ours: refused: There is no boot resource 'nothing/of/ours'.",
    ]


@pytest.mark.seed("s21", "s23")
def test_a_machine_is_known_by_the_card_that_it_asks_with(
    deployment: Any, network: Network, start: Callable[..., NetbootServer]
) -> None:
    network.address("172.22.0.1/24", "172.22.0.50/24")
    deployment.boots(deployment.node(MAC, boot_interface="pxe"), loader="pxe")
    # An old lease of somebody else's: what is on the wire counts.
    deployment.lease("172.22.0.50", "52:54:00:22:00:02")
    server = start(**{"enlist.enabled": True, "enlist.networks": ["172.22.0.0/24"]})
    data, _ = network.fetch("172.22.0.1", server.tftp_port, "pxelinux.cfg/AC160032")
    assert b"starts its deploy ramdisk" in data
    data, _ = network.fetch("172.22.0.1", server.tftp_port, "pxelinux.cfg/default")
    assert data[:4] == b"\0\5\0\1"
