"""A folder is replaced by another one in one step, so that a reader finds the old or the new.

Linux exchanges two names at once (renameat2). Where the file system cannot, there is an
instant without the folder; ``recover`` puts the old one back if we were stopped there.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NOT_POSSIBLE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(one: Path, other: Path) -> bool:
    """Let two names change places; False where kernel or file system cannot."""
    function = _renameat2()
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_POSSIBLE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def replace_folder(
    new: Path, target: Path, exchanged: Callable[[Path, Path], bool] = exchange
) -> None:
    """Put ``new``, which lies beside ``target``, in its place; the old one is removed."""
    _sync(new)
    old = _old(target)
    if not target.exists():
        new.rename(target)
    elif not exchanged(new, target):
        target.rename(old)
        new.rename(target)
    _sync(target.parent)
    for left in (old, new):
        shutil.rmtree(left, ignore_errors=True)


def recover(target: Path) -> None:
    """Clean up after a run that was stopped: whatever it had not finished."""
    old, new = _old(target), fresh(target)
    if old.is_dir() and not target.exists():
        old.rename(target)
    for left in (old, new):
        shutil.rmtree(left, ignore_errors=True)


def fresh(target: Path) -> Path:
    """Where the next content of ``target`` is put together: beside it, on its file system.

    Hidden, because whoever lists the folder must not take it for one of its kind.
    """
    return target.with_name(f".{target.name}.new")


def make_folders(top: Path, folder: Path) -> None:
    """Make ``folder`` and what is missing above it, readable by all whatever the umask."""
    missing = [folder, *folder.parents]
    for path in reversed([path for path in missing if path.is_relative_to(top)]):
        if not path.is_dir():
            path.mkdir(parents=path == top, exist_ok=True)
            path.chmod(0o755)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    library = ctypes.CDLL(None, use_errno=True)
    function = getattr(library, "renameat2", None)
    if function is None:
        return None
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    return function  # type: ignore[no-any-return]
