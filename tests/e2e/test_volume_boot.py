"""A machine without a disk boots from a volume: real firmware, a real iSCSI target, and a script
of a real NetbootServer.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from drophammer import boots
from drophammer.bootspec import SAN, BootSpec
from drophammer.model import Node, VolumeConnector, VolumeTarget, new_uuid
from drophammer.netns import Namespace
from lab import image
from tests.e2e.chains import UUID, Bench, bios, uefi

pytestmark = pytest.mark.e2e

ROOT = pathlib.Path(__file__).parents[2]
TARGET = "iqn.2004-05.com.example:system"
MACHINE = "iqn.2004-05.com.example:machine"
CHAP = {"auth_method": "CHAP", "auth_username": "machine", "auth_password": "not-$o simple"}


class Storage:
    """A tgtd of our own, which lets one initiator in."""

    def __init__(self, folder: pathlib.Path, namespace: str) -> None:
        self._ipc = folder / "tgtd"
        self._namespace = namespace
        self._env = {**os.environ, "TGT_IPC_SOCKET": str(self._ipc)}
        self._daemon = subprocess.Popen(
            Namespace(namespace).command(["tgtd", "-f", "--iscsi", "portal=172.22.0.1:3260"]),
            env=self._env,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while subprocess.run(
            self._admin("sys", "show"), env=self._env, capture_output=True
        ).returncode:
            assert time.monotonic() < end, "tgtd does not answer"
            time.sleep(0.05)

    @staticmethod
    def _admin(mode: str, op: str, *more: str) -> list[str]:
        return ["tgtadm", "--lld", "iscsi", "--mode", mode, "--op", op, *more]

    def _do(self, mode: str, op: str, *more: str) -> None:
        subprocess.run(self._admin(mode, op, *more), env=self._env, check=True)

    def export(self, disk: pathlib.Path) -> None:
        self._do("target", "new", "--tid", "1", "-T", TARGET)
        self._do("logicalunit", "new", "--tid", "1", "--lun", "1", "-b", str(disk))
        self._do("target", "bind", "--tid", "1", "--initiator-name", MACHINE)

    def ask_for_chap(self) -> None:
        user = ("--user", CHAP["auth_username"])
        self._do("account", "new", *user, "--password", CHAP["auth_password"])
        self._do("account", "bind", "--tid", "1", *user)

    def close(self) -> None:
        self._daemon.kill()  # It does not end on SIGTERM.
        self._daemon.wait()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return image.build(tmp_path_factory.mktemp("disk") / "disk.raw", ROOT / ".cache")


@pytest.fixture
def storage(tmp_path: pathlib.Path, chain_namespace: str, disk: pathlib.Path) -> Iterator[Storage]:
    if shutil.which("tgtd") is None:
        pytest.skip("needs tgt")
    storage = Storage(tmp_path, chain_namespace)
    try:
        storage.export(disk)
        yield storage
    finally:
        storage.close()


def boots_volume(bench: Bench, **properties: Any) -> int:
    """The machine of the bench, whose system is on the volume."""
    node_id = bench.node("ipxe", "ipxe")
    now = bench.store.clock.now()
    with bench.store.write() as session:
        node = session.get_one(Node, node_id)
        boots.put(session, node_id, BootSpec(node.uuid, "instance", SAN, "", "", (), "k" * 20), now)
        session.add(
            VolumeTarget(
                uuid=new_uuid(),
                node_id=node_id,
                volume_type="iscsi",
                volume_id="system",
                boot_index=0,
                properties={
                    "target_portal": "172.22.0.1:3260",
                    "target_iqn": TARGET,
                    "target_lun": 1,
                    **properties,
                },
                created_at=now,
            )
        )
        session.add(
            VolumeConnector(
                uuid=new_uuid(), node_id=node_id, type="iqn", connector_id=MACHINE, created_at=now
            )
        )
    return node_id


def test_a_bios_machine_without_a_disk_boots_its_volume(bench: Bench, storage: Storage) -> None:
    node_id = boots_volume(bench)
    bench.server.start()
    bench.server.prepare(node_id)
    serial = bench.power_on(*bios(), until="DROPHAMMER-UP")
    assert f"node {UUID} boots from volume" in serial
    assert "DROPHAMMER-UP" in serial, serial[-3000:]


def test_a_uefi_machine_without_a_disk_boots_its_volume(bench: Bench, storage: Storage) -> None:
    node_id = boots_volume(bench)
    bench.server.start()
    bench.server.prepare(node_id)
    serial = bench.power_on(*uefi(bench), until="DROPHAMMER-UP")
    assert "DROPHAMMER-FIRMWARE uefi" in serial, serial[-3000:]


def test_a_volume_behind_chap_is_booted_where_that_was_allowed(
    tmp_path: pathlib.Path, chain_namespace: str, chain_dir: pathlib.Path, storage: Storage
) -> None:
    storage.ask_for_chap()
    folder = tmp_path / "bench"
    folder.mkdir()
    bench = Bench(folder, chain_namespace, chain_dir, chap_in_boot_scripts=True)
    try:
        node_id = boots_volume(bench, **CHAP)
        bench.server.start()
        bench.server.prepare(node_id)
        serial = bench.power_on(*bios(), until="DROPHAMMER-UP")
    finally:
        bench.server.stop()
        bench.store.close()
    assert "DROPHAMMER-UP" in serial, serial[-3000:]
    assert CHAP["auth_password"] not in serial
