"""Files of boot resources: over TFTP and HTTP, from the current snapshot and from pinned ones."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import random
import re
import shutil
import socket
import struct
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drophammer.errors import Invalid, NotFound
from drophammer.model import Event, Node
from netboot.importing.run import Importer
from netboot.resources.tree import Resources
from netboot.server import NetbootServer
from tests.patience import PATIENCE

MAC = "52:54:00:22:00:01"
DASHED = MAC.replace(":", "-")
IMAGE = "ubuntu/amd64/generic/trusty/release"
OLD, NEW = "snapshot-20260101-101500", "snapshot-20260102-101500"
NAMES = ("boot-kernel", "boot-initrd", "squashfs")
IQN = f"iqn.2004-05.com.ubuntu:maas:ephemeral-{IMAGE.replace('/', '-')}"

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


def files(word: str, size: int = 5000) -> dict[str, bytes]:
    """The three files of an image, in each of which stands its version all over."""
    return {f"{IMAGE}/{name}": f"{name} {word} ".encode() * (size // 20) for name in NAMES}


@pytest.fixture
def server(deployment: Any) -> NetbootServer:
    deployment.snapshot(OLD, files("old"))
    server: NetbootServer = deployment.server()
    server.start()
    return server


def pinned(deployment: Any, server: NetbootServer, *, root: bool = True, **node: Any) -> Any:
    """A node whose boot spec names the image as the conductor would write it now."""
    node_id = deployment.node(MAC, boot_interface="pxe")
    if node:
        with deployment.store.write() as session:
            for name, value in node.items():
                setattr(session.get_one(Node, node_id), name, value)
    urls = server.pin([f"resource:///{IMAGE}/{name}" for name in NAMES])
    kernel, ramdisk, squashfs = urls
    return node_id, deployment.boots(
        node_id, loader="pxe", kernel=kernel, ramdisk=ramdisk, root=squashfs if root else None
    )


@pytest.mark.seed("s27")
def test_kernel_and_initrd_of_an_image_are_there_under_their_path(
    server: NetbootServer, tftp_get: Get, http_get: Get
) -> None:
    for path, content in files("old").items():
        for name in (path, f"{OLD}/{path}"):
            assert tftp_get(server, name) == (0, content)
            assert tftp_get(server, f"/{name}".replace("/", "\\")) == (0, content)
            assert http_get(server, name) == (200, content)


@pytest.mark.parametrize(
    "path",
    [
        "ubuntu",
        IMAGE,
        f"{IMAGE}/nothing",
        f"{OLD}",
        f"{NEW}/{IMAGE}/boot-kernel",
        "snapshot-1/ubuntu",
        "drophammer.tgt",
        f"{OLD}/drophammer.meta",
        "current/ubuntu",
        "cache/x",
        "x" * 1500,
    ],
)
def test_what_is_no_file_of_a_snapshot_is_not_there(
    server: NetbootServer, tftp_get: Get, path: str
) -> None:
    assert tftp_get(server, path)[0] == 101


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../secret", "../../cache"])
@pytest.mark.seed("s11")
def test_no_link_in_a_snapshot_leads_out_of_it(
    deployment: Any, server: NetbootServer, tftp_get: Get, http_get: Get, target: str
) -> None:
    (deployment.folder / "secret").write_text("not yours")
    (deployment.folder / "resources" / OLD / "ubuntu" / "link").symlink_to(target)
    for path in ("ubuntu/link", f"{OLD}/ubuntu/link"):
        code, content = tftp_get(server, path)
        assert code in (101, 102)
        assert b"root:" not in content
        assert http_get(server, path)[0] in (403, 404)


def test_loaders_of_the_current_snapshot_go_before_the_distributions(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    distribution = tftp_get(server, "pxelinux.0")
    deployment.snapshot(NEW, {"pxelinux.0": b"newer", "grubaa64.efi": b"arm"})
    assert tftp_get(server, "PXELINUX.0") == (0, b"newer")
    assert tftp_get(server, "grubaa64.efi") == (0, b"arm")
    assert distribution != (0, b"newer")


def test_names_of_ours_go_before_files_of_a_snapshot(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    deployment.snapshot(NEW, {"grub/grub.cfg": b"exit", "boot.ipxe": b"shell"})
    assert b"$net_default_mac" in tftp_get(server, "grub/grub.cfg")[1]
    assert b"#!ipxe" in tftp_get(server, "boot.ipxe")[1]


@pytest.mark.seed("s16")
def test_a_boot_gets_the_files_that_it_was_given_though_there_are_newer_ones(
    deployment: Any, server: NetbootServer, tftp_get: Get, http_get: Get
) -> None:
    pinned(deployment, server)
    deployment.snapshot(NEW, files("new"))
    _, config = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    fetched = [
        get(server, path)[1]
        for path in re.findall(r"(?:LINUX|INITRD) (\S+)", config.decode())
        for get in (tftp_get, http_get)
    ]
    kernel, initrd, _ = files("old").values()
    assert fetched == [kernel, kernel, initrd, initrd]
    assert f"{IQN}:{OLD}".encode() in config


@pytest.mark.seed("s16")
def test_machines_that_boot_while_versions_flip_never_see_a_mix(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    """Each of the machines asks for its configuration, then for the files which it names."""
    enlisting = deployment.server(
        **{"enlist.enabled": True, "enlist.networks": ["127.0.0.0/8"], "enlist.image": IMAGE}
    )
    enlisting.start()
    stop = threading.Event()
    mixed: list[set[str]] = []
    boots = [0]

    def boot() -> None:
        while not stop.is_set():
            _, config = tftp_get(enlisting, "pxelinux.cfg/default-amd64")
            paths = re.findall(r"(?:LINUX|INITRD) (\S+)", config.decode())
            words = {word for path in paths for word in tftp_get(enlisting, path)[1].split()}
            versions = {word.decode() for word in words if word.startswith(b"v")}
            (root,) = re.findall(r"iscsi_target_name=\S+:(snapshot-\S+)", config.decode())
            versions |= {(deployment.folder / "resources" / root / "version").read_text()}
            boots[0] += 1
            if len(versions) != 1:
                mixed.append(versions)

    machines = [threading.Thread(target=boot) for _ in range(4)]
    deployment.snapshot(OLD, {**files("v0", 60_000), "version": b"v0"})
    for machine in machines:
        machine.start()
    for number in itertools.count(1):
        if number >= 60 and boots[0] > 10:
            break
        name = f"snapshot-20260103-{number:06d}"
        deployment.snapshot(name, {**files(f"v{number}", 60_000), "version": f"v{number}".encode()})
        stop.wait(0.01)
    stop.set()
    for machine in machines:
        machine.join()
    assert mixed == []


def collected(root: Path) -> None:
    """As an import does it with what nobody boots any more."""
    keep = datetime.timedelta(seconds=-1)
    assert Importer(Resources(root), tuple, used=set, keep=keep).collect() == [OLD]


def removed(root: Path) -> None:
    """As an operator does it who needs room."""
    shutil.rmtree(root / OLD)


@pytest.mark.seed("s16")
@pytest.mark.parametrize("remove", [collected, removed])
def test_a_snapshot_that_goes_while_machines_read_from_it_ends_no_transfer(
    deployment: Any, server: NetbootServer, tftp_get: Get, http_get: Get, remove: Any
) -> None:
    squashfs, kernel = (f"{OLD}/{IMAGE}/{name}" for name in ("squashfs", "boot-kernel"))
    # More than lies in the buffers of sockets.
    root, content = (random.Random(1).randbytes(size) for size in (20_000_000, 900_000))
    large = {f"{IMAGE}/squashfs": root, f"{IMAGE}/boot-kernel": content}
    deployment.snapshot(OLD, {**files("old"), **large})
    node_id, _ = pinned(deployment, server)
    deployment.lease("127.0.0.1", MAC)
    begun = urllib.request.urlopen(f"{server.base_url}/{squashfs}", timeout=PATIENCE)
    with begun as http, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tftp:
        tftp.settimeout(PATIENCE)
        tftp.sendto(
            f"\0\1{kernel}\0octet\0blksize\x0065000\0".encode(), ("127.0.0.1", server.tftp_port)
        )
        offered, peer = tftp.recvfrom(2048)
        size = int(re.fullmatch(rb"\0\x06blksize\0(\d+)\0", offered)[1])
        deployment.snapshot(NEW, files("new"))
        remove(deployment.folder / "resources")
        assert not (deployment.folder / "resources" / OLD).exists()

        assert hashlib.sha256(http.read()).digest() == hashlib.sha256(root).digest()
        got, block = b"", 0
        while len(got) == size * block:
            tftp.sendto(struct.pack("!HH", 4, block), peer)
            packet = tftp.recv(1 << 16)
            if packet[:4] == struct.pack("!HH", 3, block) or packet == offered:
                continue  # Sent again while this client was held up.
            block += 1
            assert packet[:4] == struct.pack("!HH", 3, block)
            got += packet[4:]
        tftp.sendto(struct.pack("!HH", 4, block), peer)
        assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()
    # Who comes now is told, and so is the operator.
    assert tftp_get(server, squashfs)[0] == 101
    assert http_get(server, squashfs)[0] == 404
    for path, new in files("new").items():
        assert tftp_get(server, path) == (0, new)

    def told(found: list[Event]) -> bool:
        messages = [event.message for event in found]
        return all(
            any(text in message for message in messages)
            for text in (
                f"{squashfs}: 20.0 MB in",
                f"{kernel}: 900 kB in",
                f"There is no boot resource '{squashfs}'",
            )
        )

    deployment.wait_events(node_id, told)


@pytest.mark.seed("s30", "s31", "s32")
def test_a_machine_with_a_root_file_system_is_told_where_it_is(
    deployment: Any, server: NetbootServer, tftp_get: Get, http_get: Get
) -> None:
    pinned(deployment, server, name="rack-1")
    iqn = f"{IQN}:{OLD}"
    words = (
        f"iscsi_target_name={iqn} iscsi_target_ip=127.0.0.1 iscsi_target_port=3260 "
        "iscsi_initiator=iqn.2004-05.com.ubuntu:rack-1 ip=::::rack-1:BOOTIF ro "
        f"root=/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-{iqn}-lun-1 "
        "overlayroot=tmpfs overlayroot_cfgdisk=disabled "
    )
    assert f"  APPEND {words}".encode() in tftp_get(server, f"pxelinux.cfg/01-{DASHED}")[1]
    assert f"initrd=ramdisk {words}".encode() in http_get(server, f"ipxe/{DASHED}")[1]
    quoted = " ".join(f"'{word}'" for word in words.split())
    assert f"kernel' {quoted} '".encode() in tftp_get(server, f"grub/grub.cfg-{MAC}")[1]


@pytest.mark.seed("s31")
def test_over_ipv6_the_same_is_told_in_ipv6_only(deployment: Any, http_get: Get) -> None:
    deployment.snapshot(OLD, files("old"))
    server = deployment.server(address="::1", tftp_enabled=False)
    server.start()
    pinned(deployment, server)
    text = http_get(server, f"ipxe/{DASHED}")[1].decode()
    assert " iscsi_target_ip=[::1] " in text
    assert " ip=off ip6=dhcp ro root=/dev/disk/by-path/ip-[::1]:3260-iscsi-" in text
    assert "ip=::::" not in text


def test_a_machine_without_a_name_is_called_by_its_uuid(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    _, spec = pinned(deployment, server, name="not a host name")
    _, text = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    assert f" ip=::::{spec.node_uuid}:BOOTIF ".encode() in text


def test_what_is_not_there_is_said_when_a_boot_is_prepared(
    deployment: Any, server: NetbootServer
) -> None:
    node_id, _ = pinned(deployment, server)
    server.prepare(node_id)
    (deployment.folder / "resources" / OLD / IMAGE / "boot-initrd").unlink()
    with pytest.raises(NotFound, match="boot-initrd"):
        server.prepare(node_id)
    with pytest.raises(NotFound):
        server.pin([f"resource:///{IMAGE}/boot-initrd"])
    with pytest.raises(Invalid):
        server.pin(["resource:///etc/passwd"])
