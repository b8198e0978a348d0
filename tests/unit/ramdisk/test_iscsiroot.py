"""Each stage of a boot from iSCSI that fails is named, on the console and to the server.

The script is the ramdisk's own; what it calls to change a machine is replaced by functions.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ramdisk import tree
from tests.patience import PATIENCE

IQN = "iqn.2004-05.com.ubuntu:maas:ephemeral-x"
WORDS = {
    "iscsi_target_name": IQN,
    "iscsi_target_ip": "172.22.0.1",
    "iscsi_target_port": "3260",
    "iscsi_initiator": "iqn.2004-05.com.ubuntu:lab-1",
    "root": f"/dev/disk/by-path/ip-172.22.0.1:3260-iscsi-{IQN}-lun-1",
    "overlayroot": "tmpfs",
    "ip": "::::lab-1:BOOTIF",
    "drophammer_stage": "http://172.22.0.1:8080/boot/key/stage",
}
#: After these nothing that the script calls reaches this machine; FAILS is what goes wrong.
STAND_INS = """
say() { echo "init: $*"; }
ends() { [ "$FAILS" != "$1" ] || { echo "$1 is broken, sadly"; return 1; }; }
modprobe() { case $1 in -a) ends modprobe ;; esac; }
ip() { :; }
udhcpc() { echo "asked for $*" >>"$CALLS"; ends udhcpc >/dev/null; }
iscsistart() { echo "iscsistart $*" >>"$CALLS"; ends iscsistart; }
find_disk() { disk=/dev/sdx; ends find_disk >/dev/null; }
mount() {
    case "$*" in
        *" /lower") ends root ;;
        *"-t overlay"*) ends overlay ;;
        *memory*) ends memory ;;
    esac
}
mkdir() { :; }
umount() { :; }
hostname() { :; }
usleep() { :; }
sleep() { :; }
sync() { :; }
reboot() { exit 3; }
timeout() { shift; shift; echo "told: $*" >>"$CALLS"; }
boot_from_iscsi eth0 single
"""


def run(tmp_path: Path, fails: str = "", **changes: str | None) -> tuple[list[str], list[str]]:
    """What is on the console, and what was called."""
    words = {name: text for name, text in {**WORDS, **changes}.items() if text is not None}
    cmdline = " ".join(f"{name}={text}" for name, text in words.items())
    calls = tmp_path / "calls"
    calls.touch()
    script = f'cmdline="{cmdline} ro quiet" debug=\n. {tree.FILES}/iscsiroot\n{STAND_INS}'
    done = subprocess.run(
        ["sh", "-u", "-c", script],
        env={"PATH": "/usr/bin:/bin", "FAILS": fails, "CALLS": str(calls)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (3, "")
    return done.stdout.splitlines(), calls.read_text().splitlines()


def told(stage: str, text: str) -> str:
    return (
        "told: -q -O /dev/null http://172.22.0.1:8080/boot/key/stage"
        f"?stage={stage}&outcome=failed&text={text}"
    )


@pytest.mark.seed("s35")
@pytest.mark.parametrize(
    ("fails", "changes", "stage", "said"),
    [
        ("", {"iscsi_initiator": None}, "cmdline", "iscsi_initiator= is missing"),
        ("", {"root": "/dev/sda1"}, "cmdline", f"root=/dev/sda1 is no disk of the target {IQN}"),
        ("", {"overlayroot": "device"}, "cmdline", "overlayroot=device is not tmpfs"),
        ("modprobe", {}, "modules", "modprobe is broken, sadly"),
        (
            "iscsistart",
            {},
            "login",
            f"{IQN} at 172.22.0.1 port 3260: iscsistart is broken, sadly",
        ),
        ("find_disk", {}, "login", f"{IQN} has no disk with LUN 1"),
        ("root", {}, "mount", "/dev/sdx: root is broken, sadly"),
        ("memory", {}, "overlay", "memory is broken, sadly"),
        ("overlay", {}, "overlay", "overlay is broken, sadly"),
        ("", {}, "handover", "there is no /sbin/init in the root file system"),
        ("", {"init": "/bin/own"}, "handover", "there is no /bin/own in the root file system"),
    ],
)
def test_the_stage_that_fails_is_named_to_both(
    tmp_path: Path, fails: str, changes: dict[str, str | None], stage: str, said: str
) -> None:
    console, calls = run(tmp_path, fails, **changes)
    assert console[0] == f"init: stage {stage}: failed: {said}"
    assert calls[-1] == told(stage, said.replace(" ", "+"))


@pytest.mark.seed("s35")
def test_without_a_network_the_console_hears_it(tmp_path: Path) -> None:
    console, calls = run(tmp_path, "udhcpc")
    assert console[0] == "init: stage network: failed: no address on eth0"
    assert "-x hostname:lab-1" in calls[0]


def test_the_login_is_with_what_the_command_line_says(tmp_path: Path) -> None:
    _, calls = run(tmp_path)
    assert f"iscsistart -i {WORDS['iscsi_initiator']} -t {IQN} -a 172.22.0.1 -p 3260 -g 1" in calls


def test_without_a_server_to_tell_the_console_is_all(tmp_path: Path) -> None:
    console, calls = run(tmp_path, "root", drophammer_stage=None)
    assert console[0].startswith("init: stage mount: failed")
    assert not any(call.startswith("told") for call in calls)
    assert not os.path.exists("/newroot")
