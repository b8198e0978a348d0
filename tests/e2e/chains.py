"""Machines that boot in a network of their own: a bridge in a namespace, a NetbootServer with
its dnsmasq, and one QEMU machine at a time. What the ramdisk does is to tell its command line.
"""

from __future__ import annotations

import datetime
import io
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from oslo_config import cfg

from drophammer import boots, events
from drophammer.bootspec import BootSpec
from drophammer.model import Node, Port
from drophammer.netns import Namespace
from drophammer.store import Store
from netboot.options import GROUPS
from netboot.server import NetbootServer
from netboot.settings import Settings
from netboot.subnet_options import SUBNET

UUID = "5d2b8f0a-7f5e-4c9d-9a53-2f1f9d6a7c11"
MAC = "52:54:00:22:0f:01"
SECONDS = 110
CACHE = pathlib.Path(__file__).parents[2] / ".cache" / "boot-chains"
OVMF = pathlib.Path("/usr/share/OVMF")
NEEDED = ("qemu-system-x86_64", "dnsmasq", "setpriv", "ip", "apt-get", "dpkg", "busybox")
INIT = """#!/busybox sh
/busybox mkdir -p /proc
/busybox mount -t proc proc /proc
echo "RAMDISK REACHED WITH $(/busybox cat /proc/cmdline) END"
/busybox poweroff -f
"""


def kernel() -> pathlib.Path:
    """Debian's kernel for virtual machines; skips where no machine can be run."""
    if os.geteuid() != 0 or not all(map(shutil.which, NEEDED)):
        pytest.skip(f"needs root and {', '.join(NEEDED)}")
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("needs /dev/net/tun")
    found = sorted(CACHE.glob("x/boot/vmlinuz-*"))
    if not found:
        _download_kernel()
        found = sorted(CACHE.glob("x/boot/vmlinuz-*"))
    return found[-1]


def _download_kernel() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    depends = subprocess.run(
        ["apt-cache", "depends", "linux-image-cloud-amd64"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    package = next(word for word in depends.split() if word.startswith("linux-image-6"))
    subprocess.run(["apt-get", "download", "-qq", package], cwd=CACHE, check=True)
    subprocess.run(
        ["dpkg", "-x", *(p.name for p in CACHE.glob("*.deb")), "x"], cwd=CACHE, check=True
    )


def _cpio(files: list[tuple[str, int, bytes]]) -> bytes:
    """An initramfs in the "newc" format (kernel: driver-api/early-userspace/buffer-format)."""
    out = io.BytesIO()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        raw = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        out.write(b"070701" + b"".join(b"%08X" % value for value in fields) + raw)
        out.write(b"\0" * (-out.tell() % 4) + data)
        out.write(b"\0" * (-out.tell() % 4))
    return out.getvalue()


def boot_dir(folder: pathlib.Path) -> pathlib.Path:
    """``folder`` with a kernel and a ramdisk that tells its command line and switches off."""
    shutil.copy(kernel(), folder / "vmlinuz")
    busybox = pathlib.Path(shutil.which("busybox") or "").read_bytes()
    (folder / "initrd").write_bytes(
        _cpio([("busybox", 0o100755, busybox), ("init", 0o100755, INIT.encode())])
    )
    return folder


@contextmanager
def namespace() -> Iterator[str]:
    """A network namespace with a bridge, 172.22.0.1, and one tap device."""
    name = f"nbchain{os.getpid()}"

    def ip(words: str, inside: str = "") -> None:
        subprocess.run(Namespace(inside).command(["ip", *words.split()]), check=True)

    ip(f"netns add {name}")
    try:
        ip("link set lo up", name)
        ip("link add br0 type bridge stp_state 0 forward_delay 0", name)
        ip("addr add 172.22.0.1/24 dev br0", name)
        ip("addr add fd00:22::1/64 dev br0 nodad", name)
        ip("link set br0 up", name)
        ip("tuntap add dev tap1 mode tap", name)
        ip("link set tap1 master br0 up", name)
        yield name
    finally:
        ip(f"netns del {name}")


class Bench:
    """A store, a running NetbootServer, and machines that boot from it.

    Options of groups other than [netboot] are given as "group.option".
    """

    def __init__(
        self, folder: pathlib.Path, namespace: str, boot_dir: pathlib.Path, **changes: Any
    ) -> None:
        self.store = Store(f"sqlite:///{folder}/db.sqlite")
        self.store.migrate()
        conf = cfg.ConfigOpts()
        for group, options in GROUPS:
            conf.register_opts(options, group=group)
        conf([], default_config_files=[], default_config_dirs=[])
        for name, value in {
            "address": "172.22.0.1",
            "network_namespace": namespace,
            "interface": "br0",
            "dhcp_enabled": True,
            "dhcp_range_start": "172.22.0.50",
            "dhcp_range_end": "172.22.0.99",
            "ipv6_prefix": "fd00:22::/64",
            "boot_dir": str(boot_dir),
            "images_dir": str(folder),
            "state_dir": str(folder / "state"),
            **changes,
        }.items():
            group, _, option = name.rpartition(".")
            if group.startswith("subnet:"):
                conf.register_opts(SUBNET, group=group)
            conf.set_override(option, value, group=group or "netboot")
        self.server = NetbootServer(Settings.from_conf(conf), self.store)
        self.folder = folder
        self.namespace = namespace
        self.boot_dir = boot_dir

    def node(self, boot_interface: str, loader: str) -> int:
        now = datetime.datetime.now(datetime.UTC)
        with self.store.write() as session:
            node = Node(
                uuid=UUID,
                driver="fake-hardware",
                provision_state="available",
                boot_interface=boot_interface,
                created_at=now,
            )
            session.add(node)
            session.flush()
            session.add(Port(uuid=UUID, node_id=node.id, address=MAC, created_at=now))
            spec = BootSpec(
                node_uuid=UUID,
                purpose="inspect",
                loader=loader,
                kernel=f"file://{self.boot_dir}/vmlinuz",
                ramdisk=f"file://{self.boot_dir}/initrd",
                parameters=("console=ttyS0", "no_timer_check", "panic=5", f"proof={loader}-chain"),
                key="chain-key-0123456789",
            )
            boots.put(session, node.id, spec, now)
            return node.id

    def power_on(self, *machine: str, until: str = "") -> str:
        """Run a machine until it powers itself off, or has said ``until``; its serial log."""
        serial = self.folder / "serial.log"
        serial.unlink(missing_ok=True)
        argv = [
            *Namespace(self.namespace).command(["qemu-system-x86_64"]),
            *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "512"),
            *("-no-reboot", "-netdev", "tap,id=n0,ifname=tap1,script=no,downscript=no"),
            *("-serial", f"file:{serial}", *machine),
        ]
        begun = time.monotonic()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            while process.poll() is None and time.monotonic() < begun + SECONDS:
                if until and serial.exists() and until in serial.read_text(errors="replace"):
                    break
                time.sleep(0.05)
            process.kill()
        print(f"power-on to its end: {time.monotonic() - begun:.1f} s")
        return serial.read_text(errors="replace")

    def events_of(self, node_id: int) -> list[tuple[str, str]]:
        with self.store.read() as session:
            return [
                (event.kind, event.message) for event in events.of_node(session, node_id, 0, 1000)
            ]


def bios() -> tuple[str, ...]:
    """A BIOS machine; QEMU's network card has iPXE in its ROM."""
    return (
        *("-M", "pc,graphics=off"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={MAC},bootindex=0"),
    )


def uefi(bench: Bench) -> tuple[str, ...]:
    """OVMF with its own PXE client: an empty romfile takes QEMU's iPXE away."""
    code = OVMF / "OVMF_CODE_4M.fd"
    if not code.exists():
        pytest.skip("needs OVMF")
    variables = bench.folder / "vars.fd"
    shutil.copy(OVMF / "OVMF_VARS_4M.fd", variables)
    return (
        *("-M", "q35"),
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={MAC},bootindex=0,romfile="),
    )


def assert_booted(bench: Bench, node_id: int, serial: str, loader: str) -> list[str]:
    """The kernel got our parameters and the card it booted from; returns the stages seen."""
    bench.server.stop()  # so that all events are written
    told = bench.events_of(node_id)
    print("\n".join(f"{kind}: {message}" for kind, message in told))
    assert "RAMDISK REACHED WITH" in serial, serial[-3000:]
    line = serial.split("RAMDISK REACHED WITH", 1)[1].split("END", 1)[0]
    assert f"proof={loader}-chain" in line
    assert f"BOOTIF=01-{MAC.replace(':', '-')}" in line
    return [message.split(" ")[0].rstrip(":") for kind, message in told if kind != "dhcp"]
