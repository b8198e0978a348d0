"""The TFTP server inside another network namespace, and on link-local addresses."""

from __future__ import annotations

import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drophammer.netns import Namespace
from netboot.content import StaticFiles
from netboot.services.tftp import TftpServer
from tests.localroutes import until_local
from tests.patience import PATIENCE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces")


def ip(*words: str, inside: str = "") -> str:
    argv = Namespace(inside).command(["ip", *words])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace with an interface that has a link-local address."""
    name = f"tftp-test-{uuid.uuid4().hex[:8]}"
    ip("netns", "add", name)
    try:
        ip("link", "set", "lo", "up", inside=name)
        ip("link", "add", "boot0", "type", "veth", "peer", "name", "boot1", inside=name)
        ip("link", "set", "boot1", "up", inside=name)
        ip("link", "set", "boot0", "up", inside=name)
        ip("address", "add", "192.0.2.1/24", "brd", "192.0.2.255", "dev", "boot0", inside=name)
        ip("address", "add", "fe80::1/64", "dev", "boot0", "nodad", inside=name)
        until_local("fe80::1", "boot0", Namespace(name))
        yield Namespace(name)
    finally:
        ip("netns", "delete", name)


@pytest.fixture
def serve(loop_thread: Any, root: Any, namespace: Namespace) -> Iterator[Callable[..., int]]:
    """Start a server on a wildcard address in the namespace; returns its port."""
    servers: list[TftpServer] = []

    def start(family: int) -> int:
        door = namespace.socket(family, socket.SOCK_DGRAM)
        door.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
        port = int(door.getsockname()[1])
        server = TftpServer(StaticFiles(root), sockets=[door], make_socket=namespace.socket)
        loop_thread.run(server.start())
        servers.append(server)
        return port

    yield start
    for server in servers:
        loop_thread.run(server.stop(0.0))


def fetch_small(sock: socket.socket, server: tuple[Any, ...]) -> tuple[bytes, tuple[Any, ...]]:
    """The first block of a small file, and who sent it."""
    sock.settimeout(PATIENCE)
    sock.sendto(b"\0\1grub/grub.cfg\0octet\0", server)
    data, peer = sock.recvfrom(2000)
    sock.sendto(b"\0\4\0\1", peer)
    return data, peer


def test_a_server_answers_in_the_namespace_of_its_sockets(
    namespace: Namespace, serve: Callable[..., int]
) -> None:
    port = serve(socket.AF_INET)
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        data, peer = fetch_small(sock, ("192.0.2.1", port))
    assert data == b"\0\3\0\1menuentry one\n"
    assert peer[0] == "192.0.2.1"


def test_link_local_addresses_are_answered_from_themselves(
    namespace: Namespace, serve: Callable[..., int]
) -> None:
    port = serve(socket.AF_INET6)
    index = int(ip("-o", "link", "show", "boot0", inside=namespace.name).split(":")[0])
    with namespace.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        data, peer = fetch_small(sock, ("fe80::1", port, 0, index))
    assert data == b"\0\3\0\1menuentry one\n"
    assert peer[0].partition("%")[0] == "fe80::1"


def test_a_request_to_a_broadcast_address_is_ignored(
    namespace: Namespace, serve: Callable[..., int]
) -> None:
    port = serve(socket.AF_INET)
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.settimeout(0.3)
        sock.sendto(b"\0\1grub/grub.cfg\0octet\0", ("192.0.2.255", port))
        with pytest.raises(TimeoutError):
            sock.recvfrom(2000)
        data, _ = fetch_small(sock, ("192.0.2.1", port))
    assert data == b"\0\3\0\1menuentry one\n"
