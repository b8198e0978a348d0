"""tgtd and tgt-admin, both real, as a user who is not root: as the units of etc/systemd have it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drophammer.errors import Unavailable
from drophammer.netns import Namespace
from netboot.services.command import find
from netboot.services.process import environment
from netboot.services.tgt import TgtCommands
from tests.patience import PATIENCE, until

IQN = "iqn.2004-05.com.ubuntu:maas:ephemeral-debian-amd64-generic-bookworm-live"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--"]
THROUGH = ["unshare", "--map-root-user", "--"]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or find("tgtd") is None
    or subprocess.run([*NOBODY, *THROUGH, "true"], capture_output=True, check=False).returncode
    != 0,
    reason="needs root, tgt, and a kernel that lets users have namespaces",
)

SERVICE = """
import os, sys, time
from oslo_config import cfg
from drophammer.netns import Namespace
from netboot.monitor.programs import Host, tgt_service
from netboot.monitor.systemd import Systemctl
from netboot.options import GROUPS
from netboot.settings import Settings
conf = cfg.ConfigOpts()
for group, options in GROUPS:
    conf.register_opts(options, group=group)
conf([], default_config_files=[], default_config_dirs=[])
conf.set_override("address", "172.22.0.1", group="netboot")
conf.set_override("state_dir", sys.argv[1], group="netboot")
settings = Settings.from_conf(conf)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
service = tgt_service(Host(settings, Namespace(), Systemctl(), print))
# At its start it says much, and who speaks into the pipe of a dead process dies as well.
while service.actual().state != "running":
    service.ensure()
    time.sleep(0.1)
time.sleep(0.5)
print(service.actual().pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may write to, near the root: paths of sockets must not be long."""
    with tempfile.TemporaryDirectory(prefix="tgt-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


@pytest.fixture
def variables(folder: Path) -> Iterator[dict[str, str]]:
    """Those of a tgtd that runs, in a user namespace."""
    told = {"TGT_IPC_SOCKET": str(folder / "s")}
    with subprocess.Popen(
        # A network of its own: all have the same port there.
        [*NOBODY, *THROUGH, "unshare", "--net", "--", "tgtd", "-f"],
        env=environment(told),
        stderr=subprocess.DEVNULL,
    ) as tgtd:
        yield told
        tgtd.kill()


def test_another_user_than_root_has_its_own_tgtd_take_targets(
    folder: Path, variables: dict[str, str]
) -> None:
    (folder / "squashfs").write_bytes(bytes(1 << 20))
    conf = folder / "drophammer.tgt"
    conf.write_text(
        f"<target {IQN}>\n    readonly 1\n    allow-in-use yes\n"
        f'    backing-store "{folder}/squashfs"\n    driver iscsi\n</target>\n'
    )
    commands = TgtCommands(variables, PATIENCE, [*NOBODY, *THROUGH])
    until(commands.up)
    commands.update(conf)
    shown = subprocess.run(
        [*NOBODY, *THROUGH, "tgtadm", "--mode", "target", "--op", "show"],
        env=environment(variables),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"Target 1: {IQN}" in shown
    with pytest.raises(Unavailable, match="You must be root"):
        TgtCommands(variables, PATIENCE, NOBODY).update(conf)


def test_the_tgtd_of_another_user_than_root_ends_with_a_netboot_that_was_killed(
    folder: Path, namespace: str
) -> None:
    argv = Namespace(namespace).command([sys.executable, "-c", SERVICE, str(folder)])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    pid = int(done.stdout)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], PATIENCE)[0], f"tgtd {pid} was left behind"
    finally:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
