"""The state folder: what lies in it, made for us alone, and used by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from oslo_config import cfg

from drophammer.errors import Invalid

LOCK = "lock"


def settle_paths(conf: cfg.ConfigOpts) -> None:
    """What is kept in the state folder unless it is configured to be elsewhere."""
    root = Path(conf.state_dir).resolve()
    for name in ("images", "boot"):
        conf.set_default(f"{name}_dir", str(root / name), group="netboot")
    conf.set_default("state_dir", str(root / "netboot"), group="netboot")
    conf.set_default("root", str(root / "boot-resources"), group="resources")
    conf.set_default("state_dir", str(root / "import"), group="import")
    conf.set_default("uploads_dir", str(root / "uploads"), group="import")
    # As netboot has it: what a symbolic link stands for lies in none of its folders.
    boot = Path(os.path.abspath(conf.netboot.boot_dir))
    conf.set_default("deploy_kernel", f"file://{boot / 'vmlinuz'}", group="conductor")
    conf.set_default("deploy_ramdisk", f"file://{boot / 'initrd'}", group="conductor")


def database_url(conf: cfg.ConfigOpts) -> str:
    """The configured database, or the file in the state folder."""
    return str(conf.database.connection or f"sqlite:///{conf.state_dir}/drophammer.sqlite")


def lock_state_dir(path: Path) -> IO[str]:
    """Keep others out of the state folder for as long as the returned file is open.

    Raises Invalid with the process that has it.
    """
    lock = (path / LOCK).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pid = lock.read().strip() or "unknown"
        lock.close()
        raise Invalid(
            f"The state folder {path} is in use by process {pid}; stop that one, or choose "
            "another folder with --state-dir."
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def make_state_dir(path: Path) -> None:
    """The state folder, for us alone: it holds secrets of the machines."""
    if path.exists() and not path.is_dir():
        raise Invalid(f"The state folder {path} is a file. Choose another with --state-dir.")
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise Invalid(
            f"The state folder {path} cannot be used: {error.strerror}. Choose another with "
            "--state-dir."
        ) from error
