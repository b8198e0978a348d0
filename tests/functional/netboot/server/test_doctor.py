"""``drophammer doctor dhcp`` against a whole netboot: what a machine would be told, and do."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from drophammer.netns import Namespace
from embedded.cli import main
from netboot.dhcp.packet import BOOTREPLY, Option, Packet
from netboot.server import NetbootServer
from tests.patience import until

NEEDED = ("ip", "dnsmasq", "setpriv")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, NEEDED)),
    reason=f"needs root and the programs {', '.join(NEEDED)}",
)
MAC, PXE_MAC, UNKNOWN = "52:54:00:22:00:01", "52:54:00:22:00:02", "52:54:00:22:00:99"
US = "172.22.0.1"
SERIAL = itertools.count(1)
LOADERS = ("undionly.kpxe", "snponly.efi", "pxelinux.0", "bootx64.efi")


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[str, str]]:
    """(namespace of the server, namespace of a client with card0)."""
    mark = f"{os.getpid()}{next(SERIAL)}"
    server, client = f"nbdocs{mark}", f"nbdocc{mark}"

    def ip(words: str, inside: str = "") -> None:
        subprocess.run(Namespace(inside).command(["ip", *words.split()]), check=True)

    try:
        for name in (server, client):
            ip(f"netns add {name}")
            ip("link set lo up", name)
        ip("link add br0 type bridge stp_state 0 forward_delay 0", server)
        ip(f"addr add {US}/24 dev br0", server)
        ip("link set br0 up", server)
        ip(f"link add port0 type veth peer name card0 netns {client}", server)
        ip("link set port0 master br0 up", server)
        ip("addr add 172.22.0.30/24 dev card0", client)
        ip("link set card0 up", client)
        yield server, client
    finally:
        for name in (server, client):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture
def server(deployment: Any, network: tuple[str, str], tmp_path: Path) -> NetbootServer:
    deployment.node(MAC)
    deployment.node(PXE_MAC, boot_interface="pxe")
    loaders = tmp_path / "loaders"
    loaders.mkdir()
    for name in LOADERS:
        (loaders / name).write_bytes(b"loader" * 100)
    server: NetbootServer = deployment.server(
        address=US,
        network_namespace=network[0],
        interface="br0",
        http_port=8080,
        tftp_port=69,
        dhcp_enabled=True,
        dhcp_range_start="172.22.0.50",
        dhcp_range_end="172.22.0.99",
        loader_dirs=[str(loaders)],
    )
    server.start()
    return server


SECONDS = ("0.6", "10")
"""Who stood still for the first of these asks again."""


def doctor(namespace: str, *words: str, interface: str = "card0", seconds: str = SECONDS[0]) -> int:
    argv = ["doctor", "dhcp", "--interface", interface, "--namespace", namespace]
    return main([*argv, "--seconds", seconds, *words])


@pytest.fixture
def diagnosis(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What is told with this exit code and, among others, these lines."""

    def ask(code: int, lines: Sequence[str], *words: str, **where: str) -> str:
        for seconds in SECONDS:
            found, out = doctor(*words, seconds=seconds, **where), capsys.readouterr().out
            if found == code and all(line in out for line in lines):
                break
        assert found == code, out
        for line in lines:
            assert line in out, out
        return out

    return ask


@pytest.mark.seed("s19")
@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ("--mac", MAC),
            (
                "OFFER from 172.22.0.1 (",
                "    address: 172.22.0.",
                "    next server (siaddr): 172.22.0.1",
                "    boot file (BOOTP field): undionly.kpxe",
                "    option 66 (TFTP server): 172.22.0.1",
                "    option 67 (boot file): undionly.kpxe",
                "loads undionly.kpxe by TFTP from 172.22.0.1.",
                "undionly.kpxe on 172.22.0.1 is there: 600 bytes by TFTP.",
            ),
        ),
        (("--mac", MAC, "--arch", "uefi"), ("snponly.efi on 172.22.0.1 is there",)),
        (
            ("--mac", MAC, "--ipxe"),
            (
                "Asking on card0 as iPXE on BIOS firmware",
                "    option 175 (iPXE options): no-pxedhcp",
                "loads tftp://172.22.0.1:69/boot.ipxe",
                "boot.ipxe on 172.22.0.1 is there",
            ),
        ),
        (
            ("--mac", MAC, "--arch", "http"),
            (
                "    option 60 (vendor class): HTTPClient",
                "http://172.22.0.1:8080/snponly.efi is there: 600 bytes over HTTP.",
            ),
        ),
        (("--mac", PXE_MAC, "--arch", "uefi"), ("bootx64.efi on 172.22.0.1 is there",)),
        (("--mac", MAC, "--arch", "system"), ("It takes the address 172.22.0.",)),
    ],
    ids=["bios", "uefi", "ipxe", "http", "pxe", "system"],
)
def test_a_machine_that_boots_is_told_so_with_every_step(
    server: NetbootServer,
    network: tuple[str, str],
    diagnosis: Callable[..., str],
    words: tuple[str, ...],
    lines: tuple[str, ...],
) -> None:
    diagnosis(0, lines, network[1], *words)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--mac", UNKNOWN), "Nobody answered: "),
        (
            ("--mac", MAC, "--arch", "arm64"),
            "snponly-arm64.efi on 172.22.0.1 cannot be had by TFTP",
        ),
    ],
    ids=["unknown", "no file"],
)
def test_a_machine_that_would_not_boot_gives_another_exit_code_and_the_reason(
    server: NetbootServer,
    network: tuple[str, str],
    diagnosis: Callable[..., str],
    words: tuple[str, ...],
    line: str,
) -> None:
    diagnosis(1, [line], network[1], *words)


def test_it_works_on_the_servers_own_host(
    server: NetbootServer, network: tuple[str, str], diagnosis: Callable[..., str]
) -> None:
    out = diagnosis(0, ["OFFER from"], network[0], "--mac", MAC, interface="br0")
    assert out.count("OFFER from") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mac", "hello"), "is not a MAC address"),
        (("--arch", "system", "--ipxe"), "--ipxe goes with"),
        (("--seconds", "0"), "--seconds"),
        (("--seconds", "nan"), "--seconds"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(
    network: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert doctor(network[1], *words) == 2
    assert said in capsys.readouterr().err


def test_an_interface_that_is_not_there_is_named(
    network: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(network[1], interface="card9") == 1
    assert "Interface card9 in network namespace" in capsys.readouterr().err
    assert doctor(network[1], interface="card 9") == 2
    assert main(["doctor", "dhcp", "--interface", "lo", "--namespace", "../x"]) == 2
    assert main(["doctor", "dhcp", "--interface", "lo", "--namespace", "not-there"]) == 2


def test_a_foreign_server_that_answers_a_machine_is_an_event_of_its_node_and_in_the_services_reason(
    deployment: Any, server: NetbootServer, network: tuple[str, str]
) -> None:
    stranger = IPv4Address("172.22.0.30")
    offer = Packet(
        BOOTREPLY,
        1,
        bytes.fromhex(MAC.replace(":", "")),
        (Option(53, b"\x02"), Option(54, stranger.packed), Option(67, b"evil.0")),
        yiaddr=IPv4Address("172.22.0.201"),
    )
    with Namespace(network[1]).socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.bind((str(stranger), 67))
        sender.sendto(offer.pack(), ("255.255.255.255", 68))
    found = deployment.wait_events(1, bool)
    assert found[0].kind == "dhcp"
    assert found[0].message.startswith("warning: another DHCP server, 172.22.0.30 (")
    assert "with OFFER, address 172.22.0.201, boot file evil.0" in found[0].message
    assert found[0].data["server"] == "172.22.0.30"
    until(lambda: "172.22.0.30" in {name: state for name, _, state in server.listening()}["dhcp"])


@pytest.mark.seed("s56")
def test_a_message_that_passes_is_shown_in_plain_words(
    network: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The parts of the captured DISCOVER that say what machine it is; all of it is read in
    tests/unit/netboot/test_dhcp_packet.py.
    """
    guid = bytes.fromhex("00c9d8b4f7e8cc8c418b528a6f124e8655")
    asked = Packet(
        1,
        0x96CF6856,
        bytes.fromhex("fa165eec78e6"),
        (
            Option(53, b"\x01"),
            Option(93, b"\0\0"),
            Option(94, b"\x01\x02\x01"),
            Option(60, b"PXEClient:Arch:00000:UNDI:002001"),
            Option(77, b"iPXE"),
            Option(61, b"\x01" + bytes.fromhex("fa165eec78e6")),
            Option(97, guid),
        ),
    )
    namespace = Namespace(network[0])

    def heard() -> str:
        listener = threading.Thread(
            target=main,
            args=(["doctor", "listen", "--interface", "br0", "--namespace", namespace.name,
                   "--seconds", "1", "--mac", "fa-16-5e-ec-78-e6"],),
        )  # fmt: skip
        listener.start()
        while listener.is_alive():
            sender.sendto(b"noise", ("255.255.255.255", 67))
            sender.sendto(asked.pack(), ("255.255.255.255", 67))
            listener.join(0.2)
        out = capsys.readouterr().out
        return out if "DISCOVER" in out else ""

    with Namespace(network[1]).socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.bind(("172.22.0.30", 68))
        out = until(heard)
    for line in (
        "DISCOVER from fa:16:5e:ec:78:e6",
        "    option 93 (client architecture): 0 (BIOS)",
        "    option 94 (client network interface): UNDI 2.1",
        "    option 60 (vendor class): PXEClient:Arch:00000:UNDI:002001",
        "    option 77 (user class): iPXE",
        "    option 61 (client identifier): fa:16:5e:ec:78:e6",
        "    option 97 (client machine identifier): f7b4d8c9-cce8-418c-8b52-8a6f124e8655",
    ):
        assert line in out, out
