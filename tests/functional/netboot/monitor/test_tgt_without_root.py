"""tgtd and tgt-admin, both real, as a user who is not root: as the units of etc/systemd have it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drophammer.errors import Unavailable
from netboot.services.command import find
from netboot.services.process import environment
from netboot.services.tgt import TgtCommands

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
    commands = TgtCommands(variables, 20.0, [*NOBODY, *THROUGH])
    limit = time.monotonic() + 10
    while not commands.up() and time.monotonic() < limit:
        time.sleep(0.05)
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
        TgtCommands(variables, 20.0, NOBODY).update(conf)
