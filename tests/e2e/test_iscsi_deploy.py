"""Deploy interface ``iscsi`` on a real machine: its disk over the network, bit by bit.

The service is killed while it writes, and begins anew when it is back.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from drophammer import states
from lab import demo, network, serviceconf
from lab.lab import Lab, Plan
from lab.life import sidecar
from tests.e2e.test_killed_in_flight import DISK_MIB, IMAGE, MIB, OPTIONS, ROOT, Service, Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One machine, off, its node "manageable"."""
    if os.geteuid() != 0 or not network.TUN_DEVICE.exists():
        pytest.skip(f"needs root and {network.TUN_DEVICE}")
    if not shutil.which("qemu-img"):
        pytest.skip("needs qemu-utils and qemu-block-extra")
    boot_dir, image = demo.prepare(ROOT / ".cache", demo.Teller())
    (tmp_path / "images").mkdir()
    for suffix in ("", ".sha256"):
        shutil.copy(f"{image}{suffix}", tmp_path / f"images/{IMAGE}{suffix}")
    plan = Plan(nodes=1, firmware="bios", disk=DISK_MIB)
    with Lab(f"iscsi-{os.getpid()}", tmp_path / "lab") as lab:
        lab.up(plan)
        usual, ours = tmp_path / "drophammer.conf", tmp_path / "ours.conf"
        usual.write_text(
            serviceconf.render(
                namespace=lab.namespace,
                addresses=plan.addresses,
                state_dir=tmp_path / "state",
                boot_dir=boot_dir,
                images_dir=tmp_path / "images",
                boot_mode=plan.firmware,
            )
        )
        ours.write_text(OPTIONS)
        service = Service(tmp_path, [usual, ours])
        try:
            service.start()
            site = Site(lab, tmp_path, service)
            (host,) = site.hosts
            site.ask(host, "manage")
            site.ends(host, states.MANAGEABLE)
            yield site
        finally:
            service.stop()


def test_the_image_is_pushed_to_the_machines_disk_and_boots(site: Site) -> None:
    (host,) = site.hosts
    # What stays of it would show.
    with host.machine.disk.open("r+b") as disk:
        disk.write(b"\xaa" * DISK_MIB * MIB)
    site.change(
        host,
        deploy_interface="iscsi",
        instance_info={
            "image_source": serviceconf.image_url(network.Addresses(), IMAGE),
            "image_checksum": sidecar(site.image),
            "image_disk_format": "raw",
        },
    )
    site.ask(host, "provide")
    site.ends(host, states.AVAILABLE)
    site.ask(host, "active", configdrive={"meta_data": {"hostname": host.machine.name}})
    offered = "is offered as iqn.2026-01.org.drophammer"
    site.dies_when(lambda one: one.said(offered), "its disk is written over iSCSI")
    site.ends(host, states.ACTIVE)
    assert host.is_up() == host.machine.name
    assert host.said(offered) == 2
    image = site.image.read_bytes()
    with host.machine.disk.open("rb") as disk:
        # Before that stands the partition table, where the config drive was added.
        disk.seek(MIB)
        assert disk.read(len(image) - MIB) == image[MIB:]
