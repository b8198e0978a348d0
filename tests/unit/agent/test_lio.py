"""The disk as an iSCSI target: what is written into configfs, and what commands take."""

import types
from pathlib import Path

import pytest

from agent.commands import iscsi
from agent.errors import InvalidCommandParams, TargetError
from agent.imagewriter import Progress
from agent.jobs import Jobs
from agent.lio import Lio, check

IQN = "iqn.2026-01.org.drophammer:5d2b8f0a-7f5e:0123456789abcdef"


def made(root: Path) -> Lio:
    """A target server without a kernel: files and folders as configfs would have them."""
    return Lio(str(root), load=lambda: None)


def test_a_disk_is_offered_with_its_name_as_the_only_secret(tmp_path: Path) -> None:
    made(tmp_path).export("/dev/vda", IQN, 3260)
    store, group = tmp_path / "target/core/iblock_0/disk0", tmp_path / f"target/iscsi/{IQN}/tpgt_1"
    assert (store / "control").read_text() == "udev_path=/dev/vda"
    assert (store / "enable").read_text() == "1"
    assert (group / "lun/lun_0/89abcdef").resolve() == store
    assert (group / "np/[::]:3260").is_dir()
    assert {path.name: path.read_text() for path in (group / "attrib").iterdir()} == {
        "authentication": "0",
        "generate_node_acls": "1",
        "cache_dynamic_acls": "1",
        "demo_mode_write_protect": "0",
        "demo_mode_discovery": "0",
    }
    assert (group / "enable").read_text() == "1"


def test_a_ramdisk_without_targets_says_so(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("no folder")
    with pytest.raises(TargetError, match="Build it with iSCSI"):
        made(tmp_path).export("/dev/vda", IQN, 3260)


@pytest.mark.parametrize(
    ("iqn", "port"),
    [
        ("", 3260),
        ("../../etc", 3260),
        ("iqn.2026-01.org/x:y", 3260),
        (f"{IQN}/..", 3260),
        (f"{IQN}\n", 3260),
        (f"{IQN}:{'x' * 223}", 3260),
        (None, 3260),
        (IQN, 0),
        (IQN, 65536),
        (IQN, "3260"),
        (IQN, True),
    ],
)
def test_a_name_or_port_that_is_none_is_refused(iqn: object, port: object) -> None:
    with pytest.raises(InvalidCommandParams):
        check(iqn, port)


def test_the_command_answers_with_the_targets_name(tmp_path: Path) -> None:
    context = types.SimpleNamespace(root_disk=lambda: {"name": "/dev/vda"})
    jobs = Jobs(iscsi.commands(context, made(tmp_path)), on_end=lambda: None)
    job = jobs.start("iscsi.start_iscsi_target", {"iqn": IQN})
    assert (job.status, job.result) == ("SUCCEEDED", {"iscsi_target_iqn": IQN})
    assert isinstance(job.progress, Progress)
    with pytest.raises(InvalidCommandParams):
        jobs.start("iscsi.start_iscsi_target", {"iqn": "x"})
