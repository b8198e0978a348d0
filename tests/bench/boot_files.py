"""How long it takes to answer a machine's configuration, database and all: milliseconds.

python -m tests.bench.boot_files
"""

from __future__ import annotations

import asyncio
import datetime
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from oslo_config import cfg

from drophammer import boots
from drophammer.bootspec import BootSpec
from drophammer.model import Node, Port, new_uuid
from drophammer.store import Store
from netboot.content import Request
from netboot.options import GROUPS
from netboot.server import NetbootServer
from netboot.settings import Settings

NODES = 5000
ROUNDS = 500
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
IMAGE = "ubuntu/amd64/generic/xenial/daily"
SNAPSHOT = "snapshot-20260101-101500"


def settings(folder: Path) -> Settings:
    conf = cfg.ConfigOpts()
    for group, options in GROUPS:
        conf.register_opts(options, group=group)
    conf([], default_config_files=[], default_config_dirs=[])
    for name in ("boot_dir", "images_dir", "state_dir"):
        conf.set_override(name, str(folder / name), group="netboot")
    conf.set_override("http_port", 0, group="netboot")
    conf.set_override("tftp_port", 0, group="netboot")
    conf.set_override("root", str(folder / "resources"), group="resources")
    for name, value in {"enabled": True, "networks": ["127.0.0.0/8"], "image": IMAGE}.items():
        conf.set_override(name, value, group="enlist")
    return Settings.from_conf(conf)


def fill(store: Store, folder: Path) -> None:
    """Nodes with a port and a boot spec each, and an image."""
    image = folder / "resources" / SNAPSHOT / IMAGE
    image.mkdir(parents=True)
    for name in ("boot-kernel", "boot-initrd", "squashfs"):
        (image / name).write_bytes(b"x")
    (folder / "resources" / "current").symlink_to(SNAPSHOT)
    url = f"resource:///{SNAPSHOT}/{IMAGE}"
    spec = BootSpec(
        node_uuid="",
        purpose="deploy",
        loader="pxe",
        kernel=f"{url}/boot-kernel",
        ramdisk=f"{url}/boot-initrd",
        parameters=("nofb", "vga=normal", "console=ttyS0", "ipa-api-url=http://172.22.0.1:6385"),
        key="",
        root=f"{url}/squashfs",
    )
    with store.write() as session:
        for number in range(NODES):
            node = Node(uuid=new_uuid(), driver="ipmi", provision_state="active", created_at=NOW)
            session.add(node)
            session.flush()
            mac = f"52:54:00:22:{number >> 8:02x}:{number & 255:02x}"
            session.add(Port(uuid=new_uuid(), node_id=node.id, address=mac, created_at=NOW))
            key = f"key-of-node-{number:08d}"
            boots.put(session, node.id, replace(spec, node_uuid=node.uuid, key=key), NOW)


async def measure(server: NetbootServer, path: str) -> list[float]:
    source = server._ready_source()
    took = []
    for number in range(ROUNDS):
        name = path.format(f"52-54-00-22-{number % 16:02x}-{number % 256:02x}")
        begun = time.perf_counter()
        await source.open(Request("tftp", name, "127.0.0.1", "127.0.0.1"))
        took.append((time.perf_counter() - begun) * 1000)
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(f"sqlite:///{folder}/db.sqlite")
        store.migrate()
        fill(store, folder)
        server = NetbootServer(settings(folder), store)
        server.start()
        try:
            for path in (
                "pxelinux.cfg/01-{}",
                "grub/grub.cfg-{}",
                "ipxe/{}",
                "pxelinux.cfg/default",
            ):
                took = sorted(asyncio.run(measure(server, path)))
                print(
                    f"{path:24} median {statistics.median(took):.2f} ms, "
                    f"p99 {took[int(len(took) * 0.99)]:.2f} ms"
                )
        finally:
            server.stop()
            store.close()


if __name__ == "__main__":
    main()
