"""What machines get over TFTP and HTTP from a whole NetbootServer with a real store."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from netboot.server import NetbootServer

MAC = "52:54:00:22:00:01"
DASHED = MAC.replace(":", "-")

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


@pytest.fixture
def server(deployment: Any) -> NetbootServer:
    server: NetbootServer = deployment.server()
    server.start()
    return server


def test_an_ipxe_machine_finds_its_way_from_the_first_script_to_its_files(
    deployment: Any, server: NetbootServer, http_get: Get
) -> None:
    deployment.boots(deployment.node(MAC))
    _, first = http_get(server, "boot.ipxe")
    step = re.search(r"chain --replace (\S+)", first.decode())
    assert step is not None
    _, script = http_get(server, step[1].replace("${netX/mac:hexhyp}", DASHED))
    urls = re.findall(r"--name \w+ (http:\S+)", script.decode())
    bodies = [http_get(server, url)[1] for url in urls]
    assert bodies == [
        (deployment.boot_dir / "vmlinuz").read_bytes(),
        (deployment.boot_dir / "initrd").read_bytes(),
    ]


def test_the_first_script_is_the_machines_own_when_the_url_names_its_card(
    deployment: Any, server: NetbootServer, http_get: Get
) -> None:
    deployment.boots(deployment.node(MAC))
    assert http_get(server, f"boot.ipxe?mac={MAC}") == http_get(server, f"ipxe/{DASHED}")


def test_a_pxelinux_machine_finds_its_way_from_its_configuration_to_its_files(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    deployment.boots(deployment.node(MAC, boot_interface="pxe"), loader="pxe")
    code, config = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    assert code == 0
    names = re.findall(r"(?:LINUX|INITRD) (\S+)", config.decode())
    bodies = [tftp_get(server, name) for name in names]
    assert bodies == [
        (0, (deployment.boot_dir / "vmlinuz").read_bytes()),
        (0, (deployment.boot_dir / "initrd").read_bytes()),
    ]


def test_a_grub_machine_finds_its_way_from_the_common_file_to_its_files(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    deployment.boots(deployment.node(MAC, boot_interface="pxe"), loader="pxe")
    _, common = tftp_get(server, "/grub/grub.cfg")
    assert b'source "$prefix/grub.cfg-$net_default_mac"' in common
    code, config = tftp_get(server, f"/grub/grub.cfg-{MAC}")
    assert code == 0
    kernel = re.search(r"linux '(\S+)'", config.decode())
    assert kernel is not None
    assert tftp_get(server, kernel[1]) == (0, (deployment.boot_dir / "vmlinuz").read_bytes())


@pytest.mark.parametrize("path", [f"ipxe/{DASHED}", f"boot.ipxe?mac={MAC}"])
def test_an_unknown_machine_gets_404_over_http(
    server: NetbootServer, http_get: Get, path: str
) -> None:
    status, body = http_get(server, path)
    assert status == 404
    assert b"add it as a port" in body


@pytest.mark.parametrize("path", [f"pxelinux.cfg/01-{DASHED}", f"grub/grub.cfg-{MAC}"])
def test_an_unknown_machine_gets_file_not_found_over_tftp(
    server: NetbootServer, tftp_get: Get, path: str
) -> None:
    assert tftp_get(server, path)[0] == 101


def test_a_port_that_may_not_boot_is_unknown(
    deployment: Any, server: NetbootServer, http_get: Get
) -> None:
    deployment.boots(deployment.node(MAC, pxe_enabled=False))
    assert http_get(server, f"ipxe/{DASHED}")[0] == 404


def test_a_known_machine_with_nothing_to_boot_is_sent_to_its_disk(
    deployment: Any, server: NetbootServer, http_get: Get, tftp_get: Get
) -> None:
    deployment.node(MAC)
    assert http_get(server, f"ipxe/{DASHED}")[1].endswith(b"exit 1\n")
    assert b"LOCALBOOT -1" in tftp_get(server, f"pxelinux.cfg/01-{DASHED}")[1]
    assert tftp_get(server, f"grub/grub.cfg-{MAC}")[1].endswith(b"exit\n")


def test_files_of_a_boot_that_is_over_are_gone(
    deployment: Any, server: NetbootServer, http_get: Get, tftp_get: Get
) -> None:
    node_id = deployment.node(MAC)
    spec = deployment.boots(node_id)
    deployment.boots_nothing(node_id)
    assert http_get(server, f"boot/{spec.key}/kernel")[0] == 404
    assert tftp_get(server, f"boot/{spec.key}/ramdisk")[0] == 101


def test_a_kernel_outside_of_the_allowed_folders_is_refused(
    deployment: Any, server: NetbootServer, http_get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    secret = deployment.folder / "secret"
    secret.write_text("not yours")
    spec = deployment.boots(deployment.node(MAC), kernel=f"file://{secret}")
    status, body = http_get(server, f"boot/{spec.key}/kernel")
    assert status == 403
    assert body == b"'secret' lies in no folder that kernels and ramdisks may come from.\n"
    # Which option would change that is the operator's to know, not the machine's.
    assert "file_url_allowed_paths" in caplog.text
    assert str(deployment.folder).encode() not in body


@pytest.mark.parametrize("name", ["../secret", "%2e%2e/secret", "link", "folder/../../secret"])
def test_no_way_leads_out_of_the_folder_of_kernels(
    deployment: Any, server: NetbootServer, http_get: Get, name: str
) -> None:
    (deployment.folder / "secret").write_text("not yours")
    (deployment.boot_dir / "link").symlink_to(deployment.folder / "secret")
    spec = deployment.boots(deployment.node(MAC), kernel=f"file://{deployment.boot_dir}/{name}")
    assert http_get(server, f"boot/{spec.key}/kernel")[0] == 403


def test_a_kernel_may_lie_in_a_further_allowed_folder(deployment: Any, http_get: Get) -> None:
    more = deployment.folder / "more"
    more.mkdir()
    (more / "k").write_bytes(b"kernel from there")
    server = deployment.server(file_url_allowed_paths=[str(more)])
    server.start()
    spec = deployment.boots(deployment.node(MAC), kernel=f"file://{more}/k")
    assert http_get(server, f"boot/{spec.key}/kernel") == (200, b"kernel from there")


def test_images_are_served_over_http_only(
    deployment: Any, server: NetbootServer, http_get: Get, tftp_get: Get
) -> None:
    (deployment.images_dir / "disk.qcow2").write_bytes(b"image")
    assert http_get(server, "images/disk.qcow2") == (200, b"image")
    assert tftp_get(server, "images/disk.qcow2")[0] == 102


def test_a_tftp_loader_with_an_http_kernel_is_told_what_to_change(
    deployment: Any, server: NetbootServer, tftp_get: Get
) -> None:
    node_id = deployment.node(MAC, boot_interface="pxe")
    deployment.boots(node_id, loader="pxe", kernel="http://mirror.example/vmlinuz")
    code, words = tftp_get(server, f"pxelinux.cfg/01-{DASHED}")
    assert code >= 100
    assert b"http URL" in words


def test_a_row_with_a_newline_in_it_makes_no_script(
    deployment: Any, server: NetbootServer, http_get: Get
) -> None:
    deployment.boots(deployment.node(MAC), parameters=("quiet\nshell",))
    status, body = http_get(server, f"ipxe/{DASHED}")
    assert status == 400
    assert b"#!ipxe" not in body


def test_loaders_are_served_in_both_ways(deployment: Any, http_get: Get, tftp_get: Get) -> None:
    own = deployment.folder / "loaders"
    own.mkdir()
    (own / "pxelinux.0").write_bytes(b"loader")
    server = deployment.server(loader_dirs=[str(own)])
    server.start()
    assert http_get(server, "pxelinux.0") == (200, b"loader")
    assert tftp_get(server, "PXELINUX.0") == (0, b"loader")


@pytest.mark.usefixtures("patient_source")
def test_a_database_that_fails_is_an_answer_and_not_a_wait(
    deployment: Any, server: NetbootServer, http_get: Get, tftp_get: Get
) -> None:
    with deployment.store.write() as session:
        session.execute(text("DROP TABLE boot_specs"))
    begun = time.monotonic()
    status, body = http_get(server, f"ipxe/{DASHED}")
    assert status == 503
    assert b"boot_specs" not in body
    assert tftp_get(server, f"pxelinux.cfg/01-{DASHED}")[0] == 100
    # Both servers would give the source ten seconds.
    assert time.monotonic() - begun < 15
