"""dnsmasq for real, in a network namespace of its own, asked by a small DHCP client.

The client speaks RFC 2131 and 4578 by hand, from a second namespace behind a
bridge, and plays firmware (BIOS, UEFI), iPXE and a plain operating system.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import Invalid, Unavailable
from drophammer.model import Node
from drophammer.netns import Namespace
from netboot.server import NetbootServer
from tests.patience import AT_ONCE, PATIENCE

NEEDED = ("ip", "dnsmasq", "setpriv")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, NEEDED)),
    reason=f"needs root and the programs {', '.join(NEEDED)}",
)

MAC = "52:54:00:22:00:01"
PXE_MAC = "52:54:00:22:00:02"
FOREIGN = "52:54:00:22:00:99"
US = "172.22.0.1"
BIOS, UEFI, UEFI_9 = 0, 7, 9
SERIAL = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """A DHCP reply: type, address for the client, next server, and options by number."""

    type: int
    address: str
    next_server: str
    options: dict[int, bytes]

    @property
    def file(self) -> str:
        return self.options.get(67, b"").rstrip(b"\0").decode()


class Client:
    """A network card on the provisioning network."""

    def __init__(self, namespace: str, interface: str) -> None:
        self._socket = Namespace(namespace).socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        self._socket.bind(("", 68))
        self._transactions = itertools.count(1000)

    def close(self) -> None:
        self._socket.close()

    def boot(
        self,
        mac: str,
        architecture: int | None = None,
        *,
        ipxe: bool = False,
        seconds: float = PATIENCE,
    ) -> Answer | None:
        """DISCOVER and REQUEST; the ACK, or None when nobody answers."""
        offer = self.ask(1, mac, architecture, ipxe=ipxe, seconds=seconds)
        if offer is None:
            return None
        more = bytes([50, 4]) + socket.inet_aton(offer.address) + bytes([54, 4])
        return self.ask(3, mac, architecture, ipxe=ipxe, more=more + socket.inet_aton(US))

    def ask(
        self,
        kind: int,
        mac: str,
        architecture: int | None,
        *,
        ipxe: bool = False,
        more: bytes = b"",
        seconds: float = PATIENCE,
    ) -> Answer | None:
        transaction = next(self._transactions)
        options = bytes([53, 1, kind, 55, 6, 1, 3, 6, 66, 67, 175]) + more
        if architecture is not None:
            words = f"PXEClient:Arch:{architecture:05d}:UNDI:002001".encode()
            options += bytes([93, 2]) + struct.pack("!H", architecture)
            options += bytes([60, len(words)]) + words
        if ipxe:
            options += bytes([77, 4]) + b"iPXE" + bytes([175, 3, 0xB1, 1, 1])
        head = struct.pack("!BBBBIHH", 1, 1, 6, 0, transaction, 0, 0x8000)
        packet = head + bytes(16) + bytes.fromhex(mac.replace(":", "")) + bytes(10 + 192)
        self._socket.sendto(
            packet + b"\x63\x82\x53\x63" + options + b"\xff", ("255.255.255.255", 67)
        )
        return self._receive(transaction, seconds)

    def _receive(self, transaction: int, seconds: float) -> Answer | None:
        limit = time.monotonic() + seconds
        while select.select([self._socket], [], [], max(0, limit - time.monotonic()))[0]:
            data = self._socket.recv(4096)
            if struct.unpack_from("!I", data, 4)[0] == transaction:
                return _parse(data)
        return None


def _parse(data: bytes) -> Answer:
    options, at = {}, 240
    while data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return Answer(
        options[53][0], socket.inet_ntoa(data[16:20]), socket.inet_ntoa(data[20:24]), options
    )


@dataclass(frozen=True)
class Network:
    server: str
    client: str
    card: str


def no_duplicate_address_detection() -> None:
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    mark = f"{os.getpid()}{next(SERIAL)}"
    found = Network(f"nbdhcp{mark}", f"nbdhcpc{mark}", "card0")

    def ip(words: str, inside: str = "") -> None:
        subprocess.run(Namespace(inside).command(["ip", *words.split()]), check=True)

    try:
        for name in (found.server, found.client):
            ip(f"netns add {name}")
            ip("link set lo up", name)
            # Duplicate address detection would keep addresses unusable for seconds.
            Namespace(name).call(no_duplicate_address_detection)
        server, client = found.server, found.client
        ip("link add br0 type bridge stp_state 0 forward_delay 0", server)
        ip(f"addr add {US}/24 dev br0", server)
        ip("addr add fd00:22::1/64 dev br0 nodad", server)
        ip("link set br0 up", server)
        ip(f"link add port0 type veth peer name card0 netns {client}", server)
        ip("link set port0 master br0 up", server)
        ip("link set card0 up", client)
        yield found
    finally:
        for name in (found.server, found.client):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture
def client(network: Network) -> Iterator[Client]:
    client = Client(network.client, network.card)
    yield client
    client.close()


def options(network: Network) -> dict[str, Any]:
    return {
        "address": US,
        "network_namespace": network.server,
        "interface": "br0",
        "http_port": 8080,
        "dhcp_enabled": True,
        "dhcp_range_start": "172.22.0.50",
        "dhcp_range_end": "172.22.0.99",
        "ipv6_prefix": "fd00:22::/64",
    }


@pytest.fixture
def server(deployment: Any, network: Network) -> NetbootServer:
    deployment.node(MAC)
    deployment.node(PXE_MAC, boot_interface="pxe")
    server: NetbootServer = deployment.server(**options(network))
    server.start()
    return server


SCRIPT = "the first script"


@pytest.mark.parametrize(
    ("mac", "architecture", "ipxe", "file"),
    [
        (MAC, BIOS, False, "undionly.kpxe"),
        (MAC, BIOS, True, SCRIPT),
        (MAC, UEFI, False, "snponly.efi"),
        (MAC, UEFI_9, False, "snponly.efi"),
        (MAC, UEFI, True, SCRIPT),
        (PXE_MAC, BIOS, False, "pxelinux.0"),
        (PXE_MAC, BIOS, True, "pxelinux.0"),
        (PXE_MAC, UEFI, False, "bootx64.efi"),
        (PXE_MAC, UEFI_9, True, "bootx64.efi"),
        (MAC, None, False, ""),
        (MAC, 11, False, "snponly-arm64.efi"),
        (MAC, 6, False, ""),
    ],
)
def test_each_kind_of_client_is_told_its_loader(
    server: NetbootServer, client: Client, mac: str, architecture: int, ipxe: bool, file: str
) -> None:
    answer = client.boot(mac, architecture, ipxe=ipxe)
    assert answer is not None
    assert answer.type == 5
    assert answer.file == (f"tftp://{US}:{server.tftp_port}/boot.ipxe" if file is SCRIPT else file)
    if file:
        assert answer.options[66].rstrip(b"\0").decode() == US
        assert answer.next_server == US


def test_an_unknown_machine_gets_no_answer(server: NetbootServer, client: Client) -> None:
    assert client.boot(FOREIGN, BIOS, seconds=0.5) is None
    assert client.boot(MAC, BIOS) is not None


def test_ipxe_is_told_not_to_wait_for_a_proxy(server: NetbootServer, client: Client) -> None:
    ipxe, plain = client.boot(MAC, BIOS, ipxe=True), client.boot(MAC, BIOS)
    assert ipxe is not None
    assert plain is not None
    # no-pxedhcp (176) = 1, and the end of the options within option 175.
    assert ipxe.options[175] == bytes([176, 1, 1, 255])
    assert 175 not in plain.options


def test_no_router_and_no_name_server_are_made_up(server: NetbootServer, client: Client) -> None:
    answer = client.boot(MAC, BIOS)
    assert answer is not None
    assert not {3, 6} & set(answer.options)
    assert answer.options[1] == socket.inet_aton("255.255.255.0")


def test_firmware_ipxe_and_system_of_a_machine_share_one_lease(
    server: NetbootServer, client: Client
) -> None:
    answers = [
        client.ask(1, MAC, BIOS, more=more)
        for more in (b"", b"\x3d\x07\x01RT\0\x22\0\x01", b"\x3d\x05\xffabcd")
    ]
    assert len({answer.address for answer in answers if answer is not None}) == 1


def test_a_new_machine_is_answered_as_soon_as_it_is_prepared(
    deployment: Any, server: NetbootServer, client: Client
) -> None:
    node_id = deployment.node(FOREIGN)
    deployment.boots(node_id)
    assert client.ask(1, FOREIGN, BIOS, seconds=0.3) is None
    server.prepare(node_id)
    assert client.boot(FOREIGN, BIOS) is not None


def test_a_new_boot_interface_changes_the_loader(
    deployment: Any, server: NetbootServer, client: Client
) -> None:
    with deployment.store.write() as session:
        session.get(Node, 1).boot_interface = "pxe"
    server.refresh()
    answer = client.boot(MAC, BIOS)
    assert answer is not None
    assert answer.file == "pxelinux.0"


def test_a_killed_dnsmasq_comes_back_and_answers(
    deployment: Any, server: NetbootServer, client: Client
) -> None:
    old = server.dhcp_pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    limit = time.monotonic() + PATIENCE
    while client.boot(MAC, BIOS, seconds=0.3) is None:
        assert time.monotonic() < limit, server.listening()
    assert server.dhcp_pid not in (None, old)
    deployment.node(FOREIGN)
    server.refresh()
    assert client.boot(FOREIGN, BIOS) is not None


def test_dhcp_messages_are_events_of_the_machine(
    deployment: Any, server: NetbootServer, client: Client
) -> None:
    answer = client.boot(MAC, BIOS, ipxe=True)
    assert answer is not None
    found = deployment.wait_events(1, lambda seen: len(seen) >= 4)
    assert [(event.kind, event.message) for event in found] == [
        ("dhcp", "DISCOVER (BIOS, iPXE)"),
        ("dhcp", f"OFFER {answer.address} (BIOS, iPXE)"),
        ("dhcp", f"REQUEST {answer.address} (BIOS, iPXE)"),
        ("dhcp", f"ACK {answer.address} (BIOS, iPXE)"),
    ]


def test_the_hosts_file_and_configuration_are_for_us_alone(
    deployment: Any, server: NetbootServer
) -> None:
    folder = deployment.folder / "state" / "dhcp"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("dnsmasq.conf", "hosts"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_stopping_leaves_no_process(server: NetbootServer) -> None:
    pid = server.dhcp_pid
    assert pid is not None
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < AT_ONCE
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_dhcp_does_is_told(server: NetbootServer) -> None:
    told = {service: (address, state) for service, address, state in server.listening()}
    assert told["dhcp"] == ("br0:67/udp", f"running (pid {server.dhcp_pid}), knows 2 network cards")


def test_another_dhcp_server_on_the_network_is_named(
    deployment: Any, network: Network, server: NetbootServer
) -> None:
    second = deployment.server(**{**options(network), "http_port": 0, "tftp_port": 0})
    with pytest.raises(Unavailable, match=r"port 67 of br0: dnsmasq \(pid \d+\) has it"):
        second.start()


def test_a_missing_interface_is_named(deployment: Any, network: Network) -> None:
    server = deployment.server(**{**options(network), "interface": "br9"})
    with pytest.raises(Unavailable, match=r"br9.*no such interface"):
        server.start()
    assert server.dhcp_pid is None


def test_a_range_outside_of_the_interfaces_network_is_refused(
    deployment: Any, network: Network
) -> None:
    with pytest.raises(Invalid, match="dhcp_range_start"):
        deployment.server(**{**options(network), "dhcp_range_start": "10.0.0.5"})


def test_a_router_advertisement_says_that_it_is_no_way_out(
    network: Network, server: NetbootServer
) -> None:
    """RFC 4861: type 134, router lifetime 0; RFC 4191 flags without managed and other bits."""
    raw = Namespace(network.client).call(
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    )
    with raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, network.card.encode())
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        card = Namespace(network.client).call(lambda: socket.if_nametoindex(network.card))
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            raw.sendto(bytes([133, 0, 0, 0, 0, 0, 0, 0]), ("ff02::2", 0, 0, card))
            while select.select([raw], [], [], 0.5)[0]:
                data = raw.recv(2048)
                if data[0] == 134:
                    assert struct.unpack_from("!H", data, 6)[0] == 0
                    assert data[5] & 0xC0 == 0
                    return
    pytest.fail("no router advertisement came")
