"""A machine boots our kernel and ramdisk from the network and has its root over iSCSI.

What is real: firmware, DHCP, kernel, initiator, tgtd. Each stage of the ramdisk's init is
also made to fail, and says so.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from drophammer import boots
from drophammer.bootspec import BootSpec
from drophammer.cmdline import compose, parse
from drophammer.model import Node, Port
from netboot.boot import iscsiroot
from netboot.boot.iscsiroot import IscsiRoot
from ramdisk.build import build
from tests.e2e import chains, targets
from tests.e2e.chains import MAC, UUID, Bench, bios

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

IQN = "iqn.2004-05.com.ubuntu:maas:ephemeral-debian-amd64-ga-12-bookworm-daily"
CACHE = Path(__file__).parents[2] / ".cache"
KEY = "iscsi-key-0123456789"
FIRST_PROGRAM = """#!/bin/busybox sh
export PATH=/bin
busybox touch /written /etc/too
echo "ROOT REACHED: $(busybox cat /proc/sys/kernel/hostname)"
busybox grep -E ' / ' /proc/mounts
echo WRITTEN: $(busybox ls /written /etc/too)
echo "ARGUMENTS: $*"
echo "CMDLINE: $(busybox cat /proc/cmdline)"
echo "THE END"
busybox poweroff -f
"""
BASE = ("console=ttyS0", "no_timer_check", "panic=5")


@pytest.fixture(scope="module")
def chain_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chains.kernel()
    targets.check()
    built = build(CACHE / "ramdisk/e2e", cache_dir=CACHE)
    folder = tmp_path_factory.mktemp("boot")
    for file in (built.kernel, built.initrd):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, chain_namespace: str) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("target")
    image = targets.root_file_system(folder, FIRST_PROGRAM)
    with targets.exported(folder, chain_namespace, "172.22.0.1", IQN, image):
        yield IQN


def boot(bench: Bench, parameters: tuple[str, ...], until: str) -> tuple[int, str]:
    """Boot with these parameters; the node's number and what was on the console."""
    now = datetime.datetime.now(datetime.UTC)
    with bench.store.write() as session:
        node = Node(
            uuid=UUID,
            driver="fake-hardware",
            provision_state="available",
            boot_interface="ipxe",
            created_at=now,
        )
        session.add(node)
        session.flush()
        session.add(Port(uuid=UUID, node_id=node.id, address=MAC, created_at=now))
        spec = BootSpec(
            node_uuid=UUID,
            purpose="inspect",
            loader="ipxe",
            kernel=f"file://{bench.boot_dir}/vmlinuz",
            ramdisk=f"file://{bench.boot_dir}/initrd",
            parameters=parameters,
            key=KEY,
        )
        boots.put(session, node.id, spec, now)
        number = node.id
    bench.server.start()
    bench.server.prepare(number)
    serial = bench.power_on(*bios(), until=until)
    bench.server.stop()
    return number, serial


@pytest.mark.seed("s30", "s31", "s32", "s35")
def test_a_machine_has_its_root_over_iscsi_and_what_it_writes_in_memory(
    bench: Bench, target: str
) -> None:
    root = iscsiroot.parameters(IscsiRoot(target, "172.22.0.1", "lab-1"))
    _, serial = boot(bench, (*root, *BASE), "THE END")
    assert "ROOT REACHED: lab-1" in serial, serial[-4000:]
    assert "overlay / overlay rw" in serial
    assert "WRITTEN: /etc/too /written" in serial
    assert "stage handover: done: /sbin/init on /dev/sda" in serial
    line = serial.partition("CMDLINE: ")[2].splitlines()[0]
    assert set(compose(parse(line).words).split()) >= {*root, *BASE}


BROKEN = [
    ("cmdline", "iscsi_initiator", "iscsi_initiator= is missing"),
    ("login", f"iscsi_target_name={IQN}", "not-there at 172.22.0.1 port 3260"),
    ("login", "-lun-1", "no disk with LUN 7"),
    ("handover", "", "there is no /sbin/absent"),
]


@pytest.mark.seed("s35")
@pytest.mark.parametrize(("stage", "what", "said"), BROKEN)
def test_a_stage_that_fails_is_named_on_the_console_and_in_the_nodes_events(
    bench: Bench, target: str, stage: str, what: str, said: str
) -> None:
    words = iscsiroot.parameters(IscsiRoot(target, "172.22.0.1", "lab-1"))
    if said.startswith("not-there"):
        words = iscsiroot.parameters(IscsiRoot(f"{target}-not-there", "172.22.0.1", "lab-1"))
    elif what == "-lun-1":
        words = tuple(word.replace("-lun-1", "-lun-7") for word in words)
    elif what:
        words = tuple(word for word in words if not word.startswith(what))
    else:
        words = (*words, "init=/sbin/absent")
    report = f"drophammer_stage={bench.server.base_url}/boot/{KEY}/stage"
    node, serial = boot(bench, (*words, *BASE, report), "restarts in 60 seconds")
    assert f"stage {stage}: failed: " in serial, serial[-4000:]
    assert said in serial
    told = [message for _, message in bench.events_of(node)]
    assert any(f"stage {stage} failed" in message for message in told), told
