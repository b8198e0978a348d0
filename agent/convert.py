"""Writes images that are not raw, where the ramdisk has the ``qemu-img`` program.

The image is downloaded whole into memory (tmpfs), verified, inspected, and only
then converted onto the disk. Images that point to other files are refused.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile

from agent.blockdev import BlockTarget
from agent.errors import ImageChecksumMismatch, ImageDownloadFailed, ImageFormatUnsupported
from agent.imagewriter import too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent.checksums import Checksum
    from agent.imagewriter import Progress, Source

    Json = dict[str, Any]

_INSPECT_SECONDS = 60
_CONVERT_SECONDS = 3600


def write_converted(
    source: Source, kind: str, target: BlockTarget, checksum: Checksum, progress: Progress
) -> int:
    """Download, verify, inspect and convert; the virtual size in bytes.

    Raises ImageFormatUnsupported when there is no program for it or the content is
    not of ``kind``, ImageChecksumMismatch, ImageTooLarge, ImageDownloadFailed.
    """
    _check_program(kind)
    progress.total = source.total
    with tempfile.NamedTemporaryFile(prefix="agent-image-") as file:
        _download(source, file, checksum, progress)
        size = _inspected_size(file.name, kind)
        if target.is_disk and size > target.size:
            raise too_large(target, size)
        progress.message = "converting"
        # -S 0: what the image does not mention must become zeros on the disk too.
        command = ["qemu-img", "convert", "-n", "-f", kind, "-O", "raw", "-t", "none", "-S", "0"]
        _run([*command, file.name, target.path], _CONVERT_SECONDS)
    target.flush()
    return size


def _check_program(kind: str) -> None:
    try:
        _run(["qemu-img", "--version"], _INSPECT_SECONDS)
    except FileNotFoundError:
        raise ImageFormatUnsupported(
            f"this ramdisk cannot write {kind!r} images: it has no qemu-img program. Use a raw"
            " image, or let the conductor convert it (image_download_source=local)"
        ) from None


def _download(source: Source, file: Any, checksum: Checksum, progress: Progress) -> None:
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False)
    view = memoryview(bytearray(1 << 20))
    try:
        while count := source.fill(view):
            digest.update(view[:count])
            file.write(view[:count])
            progress.done += count
        file.flush()
    except OSError as error:
        raise ImageDownloadFailed(
            f"there is no room in memory to download the image: {error.strerror}"
        ) from error
    if digest.hexdigest() != checksum.digest:
        raise ImageChecksumMismatch(
            f"the image's {checksum.algorithm} is {digest.hexdigest()}, expected {checksum.digest}"
        )


def _inspected_size(path: str, kind: str) -> int:
    said = _run(["qemu-img", "info", "-f", kind, "--output=json", path], _INSPECT_SECONDS)
    info: Json = json.loads(said)
    details = (info.get("format-specific") or {}).get("data") or {}
    if info.get("backing-filename") or details.get("data-file"):
        raise ImageFormatUnsupported("the image refers to another file, which is not followed")
    return int(info["virtual-size"])


def _run(command: list[str], seconds: float) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise ImageFormatUnsupported(f"qemu-img took more than {seconds:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise ImageFormatUnsupported(f"qemu-img {command[1]} failed: {said}")
    return done.stdout
