"""An iSCSI target for tests: a real tgtd in a network namespace, ended by its own pid."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from drophammer.netns import Namespace

NEEDED = ("tgtd", "tgtadm", "tgt-admin", "mksquashfs", "busybox")


def check() -> None:
    """Skip where there is no target or no way to make a root file system."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@contextmanager
def exported(folder: Path, namespace: str, portal: str, iqn: str, image: Path) -> Iterator[None]:
    """A tgtd that offers ``image``, read-only, as LUN 1 of ``iqn`` on ``portal``."""
    environment = {**os.environ, "TGT_IPC_SOCKET": str(folder / "tgtd")}
    conf = folder / "targets.conf"
    conf.write_text(
        f"<target {iqn}>\n    readonly 1\n    allow-in-use yes\n"
        f'    backing-store "{image}"\n    driver iscsi\n</target>\n'
    )
    command = Namespace(namespace).command(["tgtd", "-f", "--iscsi", f"portal={portal}:3260"])
    with (folder / "tgtd.log").open("wb") as log:
        daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _run(["tgtadm", "--op", "show", "--mode", "system"], environment)
        _run(["tgt-admin", "--conf", str(conf), "--update", "ALL"], environment)
        yield
    finally:
        daemon.kill()
        daemon.wait()


def _run(command: list[str], environment: dict[str, str]) -> None:
    """Run it; again for as long as the daemon does not listen yet."""
    end = time.monotonic() + 60
    while True:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode == 0 or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert done.returncode == 0, done.stdout + done.stderr


def root_file_system(folder: Path, script: str) -> Path:
    """A squashfs image with busybox and ``script`` as its first program."""
    root, image = folder / "root", folder / "squashfs"
    for name in ("bin", "sbin", "dev", "proc", "sys", "run", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
    (root / "sbin/init").write_text(script)
    (root / "sbin/init").chmod(0o755)
    with suppress(FileNotFoundError):
        image.unlink()
    subprocess.run(["mksquashfs", root, image, "-quiet", "-no-progress"], check=True)
    return image
