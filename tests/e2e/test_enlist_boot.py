"""A machine that nobody knows boots what is there for such machines: real firmware, real
loaders, real kernel. Our own DHCP answers it, or another server's does and ours only the files.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from drophammer.netns import Namespace
from tests.e2e import chains
from tests.e2e.chains import Bench, bios, uefi

pytestmark = pytest.mark.e2e

IMAGE = "debian/amd64/generic/bookworm/daily"
SNAPSHOT = "snapshot-20260101-101500"
IQN = f"iqn.2004-05.com.ubuntu:maas:ephemeral-{IMAGE.replace('/', '-')}:{SNAPSHOT}"
BESIDE = {"dhcp_enabled": False, "enlist.networks": ["172.22.0.0/24"]}
OURS = {
    "dhcp_enabled": False,
    "dhcp.subnets": ["rack"],
    "subnet:rack.cidr": "172.22.0.0/24",
    "subnet:rack.enlist": True,
    "subnet:rack.range_start": "172.22.0.50",
    "subnet:rack.range_end": "172.22.0.99",
    "subnet:rack.ipv6_prefix": "fd00:22::/64",
}


@contextmanager
def enlisting(
    tmp_path: pathlib.Path, namespace: str, chain_dir: pathlib.Path, options: dict[str, Any]
) -> Iterator[Bench]:
    """A server that has an image for unknown machines, and knows none at all."""
    image = tmp_path / "resources" / SNAPSHOT / IMAGE
    image.mkdir(parents=True)
    shutil.copy(chain_dir / "vmlinuz", image / "boot-kernel")
    shutil.copy(chain_dir / "initrd", image / "boot-initrd")
    (image / "squashfs").write_bytes(b"not looked at by this ramdisk")
    (tmp_path / "resources" / "current").symlink_to(SNAPSHOT)
    bench = Bench(
        tmp_path,
        namespace,
        chain_dir,
        **{
            **options,
            "resources.root": str(tmp_path / "resources"),
            "enlist.enabled": True,
            "enlist.image": IMAGE,
            "enlist.kernel_append_params": "console=ttyS0 no_timer_check panic=5",
        },
    )
    try:
        bench.server.start()
        yield bench
    finally:
        bench.server.stop()
        bench.store.close()


@pytest.fixture
def unknown(
    tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path
) -> Iterator[Bench]:
    """The same where another DHCP server is in charge."""
    with enlisting(tmp_path, chain_namespace, chain_dir, BESIDE) as bench:
        yield bench


@pytest.fixture
def unknown_to_our_dhcp(
    tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path
) -> Iterator[Bench]:
    """The same where our own DHCP answers machines that nobody knows."""
    with enlisting(tmp_path, chain_namespace, chain_dir, OURS) as bench:
        yield bench


@pytest.fixture
def foreign_dhcp(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, chain_namespace: str
) -> Iterator[None]:
    """A DHCP server that tells everybody to boot from here; its parameter is a BIOS's file."""
    argv = Namespace(chain_namespace).command(
        [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0"),
            *("--user=root", "--interface=br0", "--except-interface=lo", "--bind-interfaces"),
            f"--dhcp-leasefile={tmp_path}/foreign-leases",
            "--dhcp-range=172.22.0.100,172.22.0.120,255.255.255.0",
            *("--dhcp-match=set:uefi,option:client-arch,7", "--pid-file"),
            "--dhcp-boot=tag:uefi,bootx64.efi,172.22.0.1,172.22.0.1",
            f"--dhcp-boot=tag:!uefi,{request.param},172.22.0.1,172.22.0.1",
        ]
    )
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as dnsmasq:
        try:
            yield
        finally:
            dnsmasq.terminate()


def booted_with(serial: str) -> str:
    assert "RAMDISK REACHED WITH" in serial, serial[-3000:]
    return serial.split("RAMDISK REACHED WITH", 1)[1].split("END", 1)[0]


@pytest.mark.parametrize("foreign_dhcp", ["pxelinux.0"], indirect=True)
@pytest.mark.seed("s23", "s26", "s27", "s28")
def test_an_unknown_bios_machine_chooses_by_its_processor(
    unknown: Bench, foreign_dhcp: None
) -> None:
    line = booted_with(unknown.power_on(*bios()))
    assert f"iscsi_target_name={IQN} iscsi_target_ip=172.22.0.1 " in line
    assert "ip=::::drophammer-enlist:BOOTIF" in line
    assert f"BOOTIF=01-{chains.MAC.replace(':', '-')}" in line


@pytest.mark.parametrize("foreign_dhcp", ["tftp://172.22.0.1/boot.ipxe"], indirect=True)
@pytest.mark.seed("s23", "s27")
def test_an_unknown_machine_with_ipxe_boots_over_http(unknown: Bench, foreign_dhcp: None) -> None:
    line = booted_with(unknown.power_on(*bios()))
    assert f"iscsi_target_name={IQN}" in line
    assert f"BOOTIF=01-{chains.MAC.replace(':', '-')}" in line


@pytest.mark.parametrize("foreign_dhcp", ["pxelinux.0"], indirect=True)
@pytest.mark.seed("s23", "s28")
def test_an_unknown_uefi_machine_boots_through_grub(unknown: Bench, foreign_dhcp: None) -> None:
    line = booted_with(unknown.power_on(*uefi(unknown)))
    assert f"iscsi_target_name={IQN}" in line
    assert f"BOOTIF=01-{chains.MAC}" in line


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.seed("s23")
def test_an_unknown_machine_boots_with_our_own_dhcp(
    unknown_to_our_dhcp: Bench, firmware: str
) -> None:
    bench = unknown_to_our_dhcp
    line = booted_with(bench.power_on(*(bios() if firmware == "bios" else uefi(bench))))
    assert f"iscsi_target_name={IQN} iscsi_target_ip=172.22.0.1 " in line
    assert f"BOOTIF=01-{chains.MAC.replace(':', '-')}" in line
