"""Machines that nobody knows: where they may boot, and what they are given."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from drophammer.errors import Invalid
from netboot.server import NetbootServer

MAC = "52:54:00:22:00:01"
IMAGE = "ubuntu/amd64/generic/trusty/release"
SNAPSHOT = "snapshot-20260101-101500"
FILES = {f"{IMAGE}/boot-kernel": b"kernel", f"{IMAGE}/boot-initrd": b"initrd"}
WITH_ROOT = {**FILES, f"{IMAGE}/squashfs": b"squashfs"}
I386 = {path.replace("amd64", "i386"): content for path, content in WITH_ROOT.items()}
HERE = {"enlist.enabled": True, "enlist.networks": ["127.0.0.0/8"]}
IQN = f"iqn.2004-05.com.ubuntu:maas:ephemeral-{IMAGE.replace('/', '-')}:{SNAPSHOT}"
ROOT = (
    f"iscsi_target_name={IQN} iscsi_target_ip=127.0.0.1 iscsi_target_port=3260 "
    "iscsi_initiator=iqn.2004-05.com.ubuntu:drophammer-enlist "
    "ip=::::drophammer-enlist:BOOTIF ro "
    f"root=/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-{IQN}-lun-1 "
    "overlayroot=tmpfs overlayroot_cfgdisk=disabled"
)
NAMES = ["pxelinux.cfg/default", "grub/grub.cfg-default-x86_64", "ipxe/default-i386"]

Get = Callable[[NetbootServer, str], tuple[int, bytes]]


@pytest.fixture
def enlisting(deployment: Any) -> Callable[..., NetbootServer]:
    """A server that lets unknown machines boot, with these options."""

    def start(**changes: Any) -> NetbootServer:
        server: NetbootServer = deployment.server(**{**HERE, **changes})
        server.start()
        return server

    return start


@pytest.mark.seed("s23", "s26", "s27", "s28", "s30", "s32")
def test_an_unknown_bios_machine_is_given_the_image_of_its_processor(
    deployment: Any, enlisting: Any, tftp_get: Get
) -> None:
    deployment.snapshot(SNAPSHOT, {**WITH_ROOT, **I386})
    server = enlisting(**{"enlist.image": IMAGE, "enlist.kernel_append_params": "console=ttyS0"})
    code, config = tftp_get(server, "pxelinux.cfg/default")
    i386, root = f"{SNAPSHOT}/{IMAGE.replace('amd64', 'i386')}", ROOT.replace("amd64", "i386")
    assert code == 0
    assert config.decode() == (
        "SAY Drophammer: nobody knows this machine yet; it starts to make itself known.\n"
        "DEFAULT choose\nPROMPT 0\nTIMEOUT 300\nONTIMEOUT restart\n"
        "LABEL choose\n  KERNEL ifcpu64.c32\n  APPEND amd64 -- i386\n"
        f"LABEL amd64\n  LINUX {SNAPSHOT}/{IMAGE}/boot-kernel\n"
        f"  INITRD {SNAPSHOT}/{IMAGE}/boot-initrd\n  APPEND {ROOT} console=ttyS0\n  IPAPPEND 2\n"
        f"LABEL i386\n  LINUX {i386}/boot-kernel\n  INITRD {i386}/boot-initrd\n"
        f"  APPEND {root} console=ttyS0\n  IPAPPEND 2\n"
        "LABEL restart\n  COM32 reboot.c32\n"
    )
    for path in re.findall(r"(?:LINUX|INITRD) (\S+)", config.decode()):
        assert tftp_get(server, path)[0] == 0


@pytest.mark.seed("s26")
def test_the_modules_that_the_configuration_loads_are_served(enlisting: Any, tftp_get: Get) -> None:
    server = enlisting()
    for name in ("ifcpu64.c32", "chain.c32", "libcom32.c32", "libutil.c32", "reboot.c32"):
        for folder in ("", "syslinux/", "/", "pxelinux/"):
            code, content = tftp_get(server, folder + name)
            assert (code, content[:4]) == (0, b"\x7fELF"), folder + name


@pytest.mark.parametrize("name", ["default.amd64", "default-amd64", "default-amd64-generic"])
@pytest.mark.seed("s21")
def test_a_loader_that_says_its_architecture_is_given_that_one(
    deployment: Any, enlisting: Any, tftp_get: Get, name: str
) -> None:
    deployment.snapshot(SNAPSHOT, {**WITH_ROOT, **I386})
    server = enlisting(**{"enlist.image": IMAGE})
    _, config = tftp_get(server, f"pxelinux.cfg/{name}")
    assert b"ifcpu64" not in config
    assert b"i386" not in config
    assert f"LINUX {SNAPSHOT}/{IMAGE}/boot-kernel".encode() in config
    assert tftp_get(server, "pxelinux.cfg/default.arm64")[0] == 101


@pytest.mark.seed("s23", "s28")
def test_unknown_machines_with_grub_and_ipxe_are_given_the_same(
    deployment: Any, enlisting: Any, tftp_get: Get, http_get: Get
) -> None:
    deployment.snapshot(SNAPSHOT, WITH_ROOT)
    server = enlisting(**{"enlist.image": IMAGE})
    _, grub = tftp_get(server, "grub/grub.cfg-default-x86_64")
    assert f"linux '/{SNAPSHOT}/{IMAGE}/boot-kernel' 'iscsi_target_name={IQN}'".encode() in grub
    assert b'"BOOTIF=01-$net_default_mac"; then' in grub
    _, ipxe = http_get(server, "ipxe/default-x86_64")
    urls = re.findall(r"--name \w+ (http:\S+)", ipxe.decode())
    assert [http_get(server, url)[1] for url in urls] == [b"kernel", b"initrd"]
    assert f"initrd=ramdisk {ROOT} BOOTIF=".encode() in ipxe


@pytest.mark.seed("s23")
def test_without_an_image_they_are_given_our_own_ramdisk(
    deployment: Any, enlisting: Any, tftp_get: Get, http_get: Get
) -> None:
    server = enlisting()
    _, config = tftp_get(server, "pxelinux.cfg/default")
    assert b"APPEND ip=::::drophammer-enlist:BOOTIF\n" in config
    files = re.findall(r"(?:LINUX|INITRD) (\S+)", config.decode())
    wanted = [(deployment.boot_dir / name).read_bytes() for name in ("vmlinuz", "initrd")]
    assert [tftp_get(server, name)[1] for name in files] == wanted
    assert [http_get(server, name)[1] for name in files] == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"enlist.enabled": False},
        {"enlist.networks": []},
        {"enlist.networks": ["10.0.0.0/8", "fd00::/8"]},
    ],
)
@pytest.mark.seed("s23")
def test_where_enlisting_is_off_there_is_nothing_for_unknown_machines(
    enlisting: Any, tftp_get: Get, http_get: Get, options: dict[str, Any]
) -> None:
    server = enlisting(**options)
    for name in NAMES:
        assert tftp_get(server, name)[0] == 101
    assert http_get(server, "boot/enlist-amd64/kernel")[0] == 404


@pytest.mark.seed("s22", "s23")
def test_the_loader_must_not_be_answered_to_the_card_of_a_machine_that_nobody_knows(
    enlisting: Any, tftp_get: Get
) -> None:
    server = enlisting()
    for name in (f"pxelinux.cfg/01-{MAC.replace(':', '-')}", f"grub/grub.cfg-{MAC}", f"ipxe/{MAC}"):
        assert tftp_get(server, name)[0] == 101


def test_the_log_does_not_ask_to_add_a_machine_that_makes_itself_known(
    deployment: Any, enlisting: Any, tftp_get: Get, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    name = f"pxelinux.cfg/01-{MAC.replace(':', '-')}"
    code, words = tftp_get(enlisting(), name)
    assert code == 101
    assert b"asks next for what unknown machines boot" in words
    assert "add it as a port" not in caplog.text
    # Not so where it is known, or may not boot.
    assert b"add it as a port" in tftp_get(enlisting(**{"enlist.enabled": False}), name)[1]
    deployment.node(MAC, pxe_enabled=False)
    assert b"add it as a port" in tftp_get(enlisting(), name)[1]


@pytest.mark.parametrize("pxe_enabled", [True, False])
@pytest.mark.seed("s23")
def test_a_machine_that_is_known_is_not_enlisted(
    deployment: Any, enlisting: Any, tftp_get: Get, pxe_enabled: bool
) -> None:
    server = enlisting()
    deployment.node(MAC, pxe_enabled=pxe_enabled)
    deployment.lease("127.0.0.1", MAC)
    for name in NAMES:
        code, words = tftp_get(server, name)
        assert code == 101
        assert b"is known" in words


@pytest.mark.seed("s23")
def test_a_card_that_is_no_port_of_a_known_machine_is_known_by_the_others_only_with_ipxe(
    deployment: Any, enlisting: Any, tftp_get: Get, http_get: Get
) -> None:
    server = enlisting()
    spec = deployment.boots(deployment.node(MAC))
    deployment.lease("127.0.0.1", "52:54:00:99:00:01")
    _, start = tftp_get(server, "boot.ipxe")
    # All cards, and only then the script for machines that nobody knows.
    asked = [line for line in start.decode().splitlines() if line.startswith("chain ")]
    assert ["netX/mac" in asked[0], "net${card}/mac" in asked[1]] == [True, True]
    assert "default-" in asked[2]
    assert spec.key.encode() in http_get(server, f"ipxe/{MAC}")[1]
    # pxelinux and GRUB name no other card: nothing tells who this is.
    assert tftp_get(server, "pxelinux.cfg/default")[0] == 0
    assert tftp_get(server, "grub/grub.cfg-default-x86_64")[0] == 0


@pytest.mark.seed("s22")
def test_nobody_is_taken_for_unknown_while_the_database_is_down(
    deployment: Any, enlisting: Any, tftp_get: Get
) -> None:
    server = enlisting()
    with deployment.store.write() as session:
        session.execute(text("ALTER TABLE ports RENAME TO away"))
    for name in NAMES:
        assert tftp_get(server, name)[0] == 100


def test_an_image_that_was_not_imported_is_not_there(enlisting: Any, tftp_get: Get) -> None:
    server = enlisting(**{"enlist.image": IMAGE})
    assert tftp_get(server, "pxelinux.cfg/default")[0] == 101


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("enlist.image", "ubuntu/amd64"),
        ("enlist.image", "ubuntu/amd64/gen\neric/trusty/release"),
        ("enlist.image", "ubuntu/amd64/../trusty/release"),
        ("enlist.networks", ["10.0.0.1/8"]),
        ("enlist.kernel_append_params", "a={{x}}"),
    ],
)
def test_options_that_cannot_be_right_are_named(deployment: Any, option: str, value: Any) -> None:
    named = option.replace("enlist.", r"\[enlist\]")
    with pytest.raises(Invalid, match=named):
        deployment.settings(**{"enlist.enabled": True, option: value})
