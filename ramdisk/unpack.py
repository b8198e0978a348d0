"""``drophammer ramdisk unpack``: one archive of a ramdisk as a folder, ready to be changed.

The folder gets ``root`` (what is in the archive), ``before`` and ``after`` (the other
archives, as they are) and ``ramdisk.json`` (which archive it was, and how packed); it
appears when everything is in it, or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from drophammer.errors import Conflict, DrophammerError, Invalid, NotFound
from ramdisk import archives
from ramdisk.archives import Archive, Limits
from ramdisk.unfold import Folder

ROOT, BEFORE, AFTER, NOTE = "root", "before", "after", "ramdisk.json"
_PIECE = 1 << 20


@dataclass(frozen=True)
class Note:
    """What ``repack`` has to know: how the archive was packed."""

    compression: str


def unpack(
    file: Path,
    folder: Path,
    *,
    archive: int | None = None,
    devices: bool = False,
    limits: Limits | None = None,
) -> list[Archive]:
    """Unpack archive number ``archive`` (from 1; the last one by default) into ``folder``.

    ``folder`` must not be there yet, or be empty. The whole file is read and checked before
    anything is written. Returns all archives in it. Raises Invalid, Unsupported, Forbidden,
    Conflict or NotFound.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already; unpack into a new or an empty folder.")
    with _opened(file) as data:
        try:
            found = archives.scan(data, limits or Limits())
            number = len(found) if archive is None else archive
            if not 1 <= number <= len(found):
                raise NotFound(f"It has archives 1 to {len(found)}, and no {number}.")
            _write(data, found, number, folder, devices)
        except DrophammerError as error:
            raise type(error)(f"{file}: {error.message}") from None
    return found


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"{file} is no file.") from None


def _write(data: BinaryIO, found: list[Archive], number: int, folder: Path, devices: bool) -> None:
    chosen = found[number - 1]
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (scratch / ROOT).mkdir(mode=0o755)
        _copy(data, 0, chosen.start, scratch / BEFORE)
        _copy(data, chosen.end, os.fstat(data.fileno()).st_size, scratch / AFTER)
        (scratch / NOTE).write_text(json.dumps({"compression": chosen.kind}, indent=1) + "\n")
        target = Folder(scratch / ROOT, devices=devices)
        for member, content in archives.members(data, chosen):
            target.place(member, content)
        target.finish()
        os.replace(scratch, folder)
    except BaseException:
        _make_writable(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _copy(data: BinaryIO, start: int, end: int, target: Path) -> None:
    data.seek(start)
    with target.open("wb") as out:
        while start < end:
            piece = data.read(min(_PIECE, end - start))
            out.write(piece)
            start += len(piece)


def _make_writable(folder: Path) -> None:
    """An archive may hold folders that their own owner cannot change."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)


def read_note(folder: Path) -> Note:
    """What ``unpack`` left in ``folder``. Raises NotFound or Invalid."""
    try:
        note = json.loads((folder / NOTE).read_text())
        return Note(str(note["compression"]))
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"{folder} has no {NOTE}: it is no folder that `drophammer ramdisk unpack` made."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Invalid(f"{folder / NOTE} is not as `drophammer ramdisk unpack` wrote it.") from None
