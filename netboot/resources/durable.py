"""Writing files so that whoever looks, at any moment, finds the old or the new one whole.

Modes are set here and not left to the umask: the service runs with a narrow one, and
what it writes must be readable by TFTP and iSCSI servers of other users.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drophammer.errors import Unavailable

FILE_MODE, FOLDER_MODE = 0o644, 0o755
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
PARTIAL = ".partial-"
"""How all begins that is not finished: what a killed run leaves is found by it."""


class DiskTrouble(Unavailable):
    """Our own disk did not take or give something; no source is to blame."""


@contextmanager
def disk(doing: str, where: Path) -> Iterator[None]:
    """Turn what the system refuses in the block into a sentence. Raises DiskTrouble."""
    try:
        yield
    except OSError as error:
        raise DiskTrouble(_told(error, doing, where)) from error


def partial(folder: Path) -> Path:
    """A new name in ``folder`` for something that is being made."""
    return folder / f"{PARTIAL}{secrets.token_hex(6)}"


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, that all may read. It may exist."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    path.chmod(FOLDER_MODE)


def write(path: Path, text: str, *, safe: bool = True, aside: Path | None = None) -> None:
    """Put ``text`` in the place of what ``path`` has; ``safe``: and see that a crash keeps it.

    It is written in the same folder first, or in ``aside``, where left-overs are looked for.
    """
    made = partial(aside or path.parent)
    try:
        with made.open("x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(text)
            file.flush()
            if safe:
                os.fsync(file.fileno())
        made.rename(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    if safe:
        sync(path.parent)


def sync(folder: Path) -> None:
    """Return when the disk has the names in ``folder``."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    """Remove a file, a link or a tree that may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _told(error: OSError, doing: str, where: Path) -> str:
    if error.errno in NO_ROOM:
        return (
            f"The disk of {where} is full: {doing} was not possible. What machines boot is as it "
            "was; make room, or move [resources] root, and import again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{doing.capitalize()} is not allowed below {where} ({error.strerror}); give this "
            "process the right to write there, or move [resources] root."
        )
    return (
        f"{doing.capitalize()} failed below {where}: {error.strerror or error}. What machines boot "
        "is as it was; see to the disk and import again."
    )
