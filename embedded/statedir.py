"""The state folder: made for us alone, and used by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from drophammer.errors import Invalid

LOCK = "lock"


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
