"""The names under which loaders look for their configuration, and who is answered to which."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drophammer.model import Node
from netboot.server import NetbootServer
from tests.patience import AT_ONCE, PATIENCE

MAC = "00:9c:02:8e:02:6a"
DASHED = MAC.replace(":", "-")
OURS = "7F000001"  # 127.0.0.1, which is where the tests ask from

Get = Callable[[NetbootServer, str], tuple[int, bytes]]

CONFIG = """\
SAY Drophammer: node {uuid} starts its deploy ramdisk.
DEFAULT ramdisk
PROMPT 0
TIMEOUT 300
ONTIMEOUT restart
LABEL ramdisk
  LINUX boot/{key}/kernel
  INITRD boot/{key}/ramdisk
  APPEND console=ttyS0
  IPAPPEND 2
LABEL restart
  COM32 reboot.c32
"""


@pytest.fixture
def server(deployment: Any) -> NetbootServer:
    server: NetbootServer = deployment.server()
    server.start()
    return server


@pytest.fixture
def node(deployment: Any) -> Any:
    """A node that is to boot by pxelinux, and its boot spec."""
    node_id = deployment.node(MAC, boot_interface="pxe")
    return node_id, deployment.boots(node_id, loader="pxe")


def expected(node: Any) -> bytes:
    return CONFIG.format(uuid=node[1].node_uuid, key=node[1].key).encode()


def changed(deployment: Any, node_id: int, **fields: Any) -> None:
    with deployment.store.write() as session:
        found = session.get_one(Node, node_id)
        for name, value in fields.items():
            setattr(found, name, value)


@pytest.mark.parametrize(
    "name",
    [
        f"pxelinux.cfg/01-{DASHED}",
        f"pxelinux.cfg/01-{DASHED.upper()}",
        f"PXELINUX.CFG/01-{DASHED}".upper(),
        f"/pxelinux.cfg/01-{DASHED}",
        f"//pxelinux.cfg//01-{DASHED}",
        f"\\pxelinux.cfg\\01-{DASHED}",
        f"pxelinux/pxelinux.cfg/01-{DASHED}",
    ],
)
@pytest.mark.seed("s21", "s22", "s24", "s64")
def test_a_known_machine_gets_its_configuration_byte_for_byte(
    node: Any, server: NetbootServer, tftp_get: Get, name: str
) -> None:
    assert tftp_get(server, name) == (0, expected(node))


@pytest.mark.skipif(shutil.which("tftp") is None, reason="needs tftp-hpa")
@pytest.mark.seed("s24")
def test_a_plain_tftp_client_gets_it_too(node: Any, server: NetbootServer, tmp_path: Path) -> None:
    ask = ["tftp", "-m", "binary", "127.0.0.1", str(server.tftp_port), "-c", "get"]
    subprocess.run(
        [*ask, f"pxelinux.cfg/01-{DASHED}", "got"],
        cwd=tmp_path,
        timeout=PATIENCE,
        check=True,
    )
    assert (tmp_path / "got").read_bytes() == expected(node)


SEARCH = [
    "b8945908-d6a6-41a9-611d-74a6ab80b83d",
    "01-52-54-00-99-99-99",
    *(OURS[:length] for length in range(8, 0, -1)),
    "default",
    "default.amd64",
    "default-arm64-generic",
    "unheard-of",
]


@pytest.mark.parametrize("prefix", ["pxelinux.cfg/", "grub/grub.cfg-", "grub.cfg-", "ipxe/"])
@pytest.mark.seed("s21", "s22", "s23")
def test_an_unknown_machine_falls_through_all_names_quickly(
    node: Any, server: NetbootServer, tftp_get: Get, http_get: Get, prefix: str
) -> None:
    begun = time.monotonic()
    for name in SEARCH:
        assert tftp_get(server, prefix + name)[0] == 101, name
        assert http_get(server, prefix + name)[0] == 404, name
    assert time.monotonic() - begun < AT_ONCE


@pytest.mark.seed("s21")
def test_a_machine_that_is_known_by_its_lease_may_name_its_address_or_uuid(
    deployment: Any, node: Any, server: NetbootServer, tftp_get: Get
) -> None:
    deployment.lease("127.0.0.1", MAC)
    uuid = node[1].node_uuid
    for name in (OURS, OURS.lower(), uuid, uuid.upper()):
        assert tftp_get(server, f"pxelinux.cfg/{name}") == (0, expected(node))
    code, text = tftp_get(server, f"grub.cfg-{OURS}")
    assert code == 0
    assert f"BOOTIF=01-{DASHED}".encode() in text


@pytest.mark.parametrize("name", [OURS[:7], "0A000001", "b8945908-d6a6-41a9-611d-74a6ab80b83d"])
@pytest.mark.seed("s21", "s23")
def test_nobody_gets_a_configuration_by_the_name_of_another(
    deployment: Any, node: Any, server: NetbootServer, tftp_get: Get, name: str
) -> None:
    deployment.lease("127.0.0.1", MAC)
    assert tftp_get(server, f"pxelinux.cfg/{name}")[0] == 101


@pytest.mark.seed("s21", "s23")
def test_a_uuid_alone_says_nothing_of_who_asks(
    deployment: Any, node: Any, server: NetbootServer, tftp_get: Get
) -> None:
    other = "52:54:00:22:00:77"
    deployment.node(other)
    for mac in (None, other, "52:54:00:99:99:99"):
        if mac is not None:
            deployment.lease("127.0.0.1", mac)
        assert tftp_get(server, f"pxelinux.cfg/{node[1].node_uuid}")[0] == 101


@pytest.mark.parametrize(
    ("way", "line"),
    [("next", b"  LOCALBOOT -1"), ("chain", b"  APPEND hd0"), ("zero", b"  LOCALBOOT 0")],
)
@pytest.mark.seed("s25")
def test_an_installed_machine_is_told_to_boot_its_disk_in_the_way_that_was_chosen(
    deployment: Any, tftp_get: Get, way: str, line: bytes
) -> None:
    deployment.node(MAC)
    server = deployment.server(bios_to_disk=way)
    server.start()
    code, text = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    assert code == 0
    assert text.splitlines()[-1] == line


@pytest.mark.seed("s28")
def test_a_ppc64el_machine_is_told_its_card(
    deployment: Any, node: Any, server: NetbootServer, tftp_get: Get
) -> None:
    changed(deployment, node[0], properties={"cpu_arch": "ppc64le"})
    _, text = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    assert b"IPAPPEND" not in text
    assert f"APPEND console=ttyS0 BOOTIF=01-{DASHED}\n".encode() in text


@pytest.mark.seed("s29")
def test_nomodeset_is_off_unless_it_is_wanted_and_then_the_first_word(
    deployment: Any, node: Any, server: NetbootServer, tftp_get: Get
) -> None:
    assert b"nomodeset" not in tftp_get(server, f"pxelinux.cfg/01-{DASHED}")[1]
    wanted = deployment.server(nomodeset=True)
    wanted.start()
    _, pxelinux = tftp_get(wanted, f"pxelinux.cfg/01-{DASHED}")
    assert b"\n  APPEND nomodeset console=ttyS0\n" in pxelinux
    _, grub = tftp_get(wanted, f"grub/grub.cfg-{MAC}")
    assert re.search(rb"linux '\S+' 'nomodeset' 'console=ttyS0' 'BOOTIF=", grub)
    _, ipxe = tftp_get(wanted, f"ipxe/{DASHED}")
    assert b"/kernel initrd=ramdisk nomodeset console=ttyS0 BOOTIF=" in ipxe


@pytest.mark.seed("s29")
def test_nomodeset_is_not_there_twice(deployment: Any, node: Any, tftp_get: Get) -> None:
    deployment.boots(node[0], loader="pxe", parameters=("quiet", "nomodeset"))
    server = deployment.server(nomodeset=True)
    server.start()
    _, text = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    assert b"APPEND quiet nomodeset\n" in text
