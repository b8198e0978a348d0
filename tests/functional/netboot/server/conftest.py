"""A store with machines, a NetbootServer on loopback, and clients for what it serves."""

from __future__ import annotations

import datetime
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from drophammer import boots, events
from drophammer.bootspec import BootSpec
from drophammer.model import Event, Node, Port, new_uuid
from drophammer.store import Store
from netboot.options import GROUPS
from netboot.server import NetbootServer
from netboot.settings import Settings
from tests.databases import copied
from tests.patience import PATIENCE

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
KERNEL = bytes(range(256)) * 400
RAMDISK = b"ramdisk " * 1000


class Deployment:
    """What an operator and a conductor would have set up, and servers over it."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.boot_dir = folder / "boot"
        self.images_dir = folder / "images"
        for made in (self.boot_dir, self.images_dir):
            made.mkdir()
        (self.boot_dir / "vmlinuz").write_bytes(KERNEL)
        (self.boot_dir / "initrd").write_bytes(RAMDISK)
        self.servers: list[NetbootServer] = []

    def settings(self, **changes: Any) -> Settings:
        """Options of [netboot]; those of other groups are given as "group.option"."""
        conf = cfg.ConfigOpts()
        for group, options in GROUPS:
            conf.register_opts(options, group=group)
        conf([], default_config_files=[], default_config_dirs=[])
        values = {
            "http_port": 0,
            "tftp_port": 0,
            "boot_dir": str(self.boot_dir),
            "images_dir": str(self.images_dir),
            "state_dir": str(self.folder / "state"),
            "resources.root": str(self.folder / "resources"),
        }
        for name, value in {**values, **changes}.items():
            group, _, option = name.rpartition(".")
            conf.set_override(option, value, group=group or "netboot")
        return Settings.from_conf(conf)

    def server(self, **changes: Any) -> NetbootServer:
        server = NetbootServer(self.settings(**changes), self.store)
        self.servers.append(server)
        return server

    def node(self, *macs: str, boot_interface: str = "ipxe", pxe_enabled: bool = True) -> int:
        with self.store.write() as session:
            node = Node(
                uuid=new_uuid(),
                driver="fake-hardware",
                provision_state="available",
                boot_interface=boot_interface,
                created_at=NOW,
            )
            session.add(node)
            session.flush()
            for mac in macs:
                session.add(
                    Port(
                        uuid=new_uuid(),
                        node_id=node.id,
                        address=mac,
                        pxe_enabled=pxe_enabled,
                        created_at=NOW,
                    )
                )
            return node.id

    def boots(self, node_id: int, **changes: Any) -> BootSpec:
        """Give the node something to boot."""
        with self.store.write() as session:
            node = session.get(Node, node_id)
            assert node is not None
            spec = BootSpec(
                node_uuid=node.uuid,
                purpose="deploy",
                loader="ipxe",
                kernel=f"file://{self.boot_dir}/vmlinuz",
                ramdisk=f"file://{self.boot_dir}/initrd",
                parameters=("console=ttyS0",),
                key=f"key-of-node-{node_id:04d}",
            )
            spec = replace(spec, **changes)
            boots.put(session, node_id, spec, NOW)
            return spec

    def lease(self, ip: str, mac: str) -> None:
        """Let the DHCP server have given this address away."""
        folder = self.folder / "state" / "dhcp"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "leases").write_text(f"1795215773 {mac} {ip} * *\n")

    def snapshot(self, name: str, files: dict[str, bytes]) -> None:
        """Boot resources as an import leaves them, and the current ones from now on."""
        root = self.folder / "resources"
        for path, content in files.items():
            file = root / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (root / "next").symlink_to(name)
        (root / "next").rename(root / "current")

    def boots_nothing(self, node_id: int) -> None:
        with self.store.write() as session:
            boots.clear(session, node_id)

    def wait_events(self, node_id: int, enough: Callable[[list[Event]], bool]) -> list[Event]:
        """The node's events once they are enough; they are written a little later."""
        limit = time.monotonic() + PATIENCE
        while True:
            with self.store.read() as session:
                found = list(events.of_node(session, node_id, 0, 1000))
            if enough(found):
                return found
            assert time.monotonic() < limit, [event.message for event in found]
            time.sleep(0.01)

    def close(self) -> None:
        for server in self.servers:
            server.stop()
        self.store.close()


@pytest.fixture
def deployment(tmp_path: Path, empty_database: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path, copied(empty_database, tmp_path / "db.sqlite"))
    try:
        yield deployment
    finally:
        deployment.close()


@pytest.fixture
def patient_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a database that does not answer waits for ever."""
    monkeypatch.setattr("netboot.source.PATIENCE_SECONDS", 2 * PATIENCE)


@pytest.fixture
def http_get() -> Callable[[NetbootServer, str], tuple[int, bytes]]:
    """GET a path, or a whole URL: (status, body)."""

    def get(server: NetbootServer, path: str) -> tuple[int, bytes]:
        url = path if path.startswith("http:") else f"{server.base_url}/{path}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return get


@pytest.fixture
def tftp_get() -> Callable[[NetbootServer, str], tuple[int, bytes]]:
    """Fetch a file by plain RFC 1350: (0, content), or (error code + 100, text)."""

    def get(server: NetbootServer, name: str) -> tuple[int, bytes]:
        content, expected = b"", 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            request = b"\0\1" + name.encode() + b"\0octet\0"
            client.sendto(request, ("127.0.0.1", server.tftp_port))
            while True:
                packet, peer = client.recvfrom(2048)
                opcode, number = struct.unpack_from("!HH", packet)
                if opcode == 5:
                    return 100 + number, packet[4:-1]
                client.sendto(struct.pack("!HH", 4, number), peer)
                if number != expected:
                    continue  # Sent again while this client was held up.
                content, expected = content + packet[4:], expected + 1
                if len(packet) < 516:
                    return 0, content

    return get
