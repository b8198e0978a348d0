"""Images given by hand: put aside in a folder that every import then reads as a source.

Names are checked and the folder of an image is replaced in one step; nothing is imported
here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from drophammer.errors import Invalid, Unavailable
from netboot.importing.exchange import fresh, make_folders, recover, replace_folder
from netboot.resources.names import ImageId

_SQUASHFS = b"hsqs"


def add(
    folder: Path,
    image: str,
    *,
    kernel: Path | None = None,
    initrd: Path | None = None,
    root: Path | None = None,
) -> list[str]:
    """Take copies of the files for ``image`` (OS/ARCH/SUBARCH/RELEASE/LABEL), which they replace.

    Returns the paths they will have in the next snapshot. Raises Invalid, or Unavailable
    when the folder cannot be written.
    """
    target = folder / str(ImageId.parse(image))
    files = _named({"boot-kernel": kernel, "boot-initrd": initrd}, root)
    if not files:
        raise Invalid(f"The image {image} would be empty: give a kernel, an initrd or a root.")
    try:
        make_folders(folder, target.parent)
        with _alone(folder):
            _replace(target, files)
    except OSError as error:
        raise Unavailable(
            f"The image {image} could not be put aside in {folder}: {error.strerror}. What was "
            "there before is unchanged."
        ) from None
    return [f"{image}/{name}" for name in files]


def _replace(target: Path, files: Mapping[str, Path]) -> None:
    recover(target)
    new = fresh(target)
    make_folders(target.parent, new)
    try:
        for name, path in files.items():
            _copy(path, new / name)
        replace_folder(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else adds an image."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _named(files: Mapping[str, Path | None], root: Path | None) -> dict[str, Path]:
    found = {name: path for name, path in files.items() if path is not None}
    for path in found.values():
        _begin(path)
    if root is None:
        return found
    name = "squashfs" if _begin(root) == _SQUASHFS else "root-image"
    return {**found, name: root}


def _begin(path: Path) -> bytes:
    """The first bytes of a file. Raises Invalid when it is none, or not for us to read."""
    try:
        # A pipe would keep us waiting for somebody to write into it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(len(_SQUASHFS))
        why = "it is no plain file"
    except OSError as error:
        why = error.strerror or str(error)
    user = f" by user {os.geteuid()}, who has the image's folder" if os.geteuid() else ""
    raise Invalid(f"{path} is not a file that can be read{user}: {why}.")


def _copy(path: Path, target: Path) -> None:
    with path.open("rb") as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        # Root may have given it, and the service is somebody else.
        os.fchmod(copy.fileno(), 0o644)
        os.fsync(copy.fileno())
