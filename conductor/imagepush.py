"""An image in the hands of the conductor: fetched, checked, and written to an iSCSI target.

For deploy interface ``iscsi`` only; elsewhere images go straight from their server to the
machine. ``qemu-img`` writes, as a child that ends with the thread that waits for it.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3

from conductor import guard
from conductor.http import exchange
from conductor.httperrors import reason
from conductor.images import shown
from drophammer.errors import HardwareError, ImageError, Unavailable
from drophammer.netns import Namespace

FORMATS = ("raw", "qcow2")
#: A step has half an hour (transitions.WORKING_SECONDS); to be written, the image needs its part.
FETCH_SECONDS = 600.0
PUSH_SECONDS = 1000.0
_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_TELL_SECONDS = 2.0
_PIECE = 1 << 20
_ALGORITHMS = {32: "md5", 64: "sha256", 128: "sha512"}
_DONE = re.compile(rb"\(([0-9]+)\.[0-9]+/100%\)")


def digest_of(info: dict[str, Any]) -> tuple[str, str]:
    """(algorithm, hexadecimal digest) that ``instance_info`` gives; it was validated."""
    algorithm, value = info.get("image_os_hash_algo"), info.get("image_os_hash_value")
    if algorithm and value:
        return str(algorithm), str(value).lower()
    checksum = str(info.get("image_checksum", "")).lower()
    return _ALGORITHMS[len(checksum)], checksum


def fetch(namespace: Namespace, info: dict[str, Any], target: Path) -> None:
    """Download the image into ``target``. Raises ImageError unless it is what its digest says."""
    url = str(info["image_source"])
    algorithm, expected = digest_of(info)
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with exchange(namespace, FETCH_SECONDS) as manager, target.open("wb") as out:
            response = manager.request(
                "GET", url, preload_content=False, timeout=urllib3.Timeout(_CONNECT_SECONDS)
            )
            if response.status != 200:
                raise ImageError(
                    f"The image server answered HTTP {response.status} for {shown(url)}. "
                    "Check the URL."
                )
            while piece := response.read(_PIECE):
                guard.seconds_left(0)
                digest.update(piece)
                out.write(piece)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Unavailable(f"The image {shown(url)} was not fetched: {reason(error)}.") from error
    except OSError as error:
        raise Unavailable(
            f"The image {shown(url)} cannot be kept in {target.parent}: {error.strerror}. Make "
            "room there, or use deploy interface 'direct', which needs none."
        ) from error
    if digest.hexdigest() != expected:
        raise ImageError(
            f"The image {shown(url)} has the {algorithm} {digest.hexdigest()} and not {expected}, "
            "as instance_info says. Nothing was written; check the image and its checksum."
        )
    check_format(target, info)


def check_format(image: Path, info: dict[str, Any]) -> None:
    """Raises ImageError for another format than was said, and for qcow2 that names other files."""
    with image.open("rb") as file:
        head = file.read(80)
    is_qcow2 = head[:4] == b"QFI\xfb"
    if is_qcow2 != (info.get("image_disk_format") == "qcow2"):
        raise ImageError(
            "The image is not of the format that instance_info image_disk_format says; qemu-img "
            "does not guess."
        )
    if not is_qcow2:
        return
    (version, backing), features = struct.unpack(">IQ", head[4:16]), head[72:80]
    # Bit 2 of the incompatible features: the data are in another file.
    external = version >= 3 and len(features) == 8 and features[7] & 4
    if backing or external:
        raise ImageError("The qcow2 image is based on another file; give one that is whole.")


class Push:
    """``qemu-img`` writing ``image`` to ``url``; ``run`` ends when it has."""

    def __init__(self, namespace: Namespace, image: Path, kind: str, url: str) -> None:
        self._url = url
        self._command = namespace.command(
            [
                # Whoever takes the work up after this conductor begins anew.
                *("setpriv", "--pdeathsig", "KILL"),
                *("qemu-img", "convert", "-p", "-n", "-W", "-m", "8"),
                *("-f", kind, "-O", "raw", str(image), url),
            ]
        )

    def run(self, tell: Callable[[int], None]) -> None:
        """Write all of it; ``tell`` hears the percentage now and then, and may end it by raising.

        Raises HardwareError when it fails or takes too long, LeaseLost when the work is not
        ours any more; then nothing writes on.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                child = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
                )
            except FileNotFoundError as error:
                raise HardwareError(
                    f"{error.filename} is missing on this conductor: install qemu-utils, "
                    "qemu-block-extra and util-linux."
                ) from None
            try:
                self._wait(child, out, tell)
            finally:
                child.kill()
                child.wait()
            if child.returncode:
                raise HardwareError(
                    f"The image was not written to {self._url}: qemu-img ended with "
                    f"{child.returncode}: {_end_of(errors) or 'without a word'}"
                )

    def _wait(self, child: subprocess.Popen[bytes], out: Any, tell: Callable[[int], None]) -> None:
        end, told = time.monotonic() + PUSH_SECONDS, 0.0
        while True:
            try:
                child.wait(_LOOK_SECONDS)
                return
            except subprocess.TimeoutExpired:
                pass
            guard.seconds_left(0)
            if time.monotonic() > end:
                raise HardwareError(
                    f"The image was not written to {self._url} within {PUSH_SECONDS:.0f} s. "
                    "Deploy interface 'direct' has no such limit."
                )
            if time.monotonic() - told > _TELL_SECONDS:
                found = _DONE.findall(_end_of(out).encode())
                tell(int(found[-1]) if found else 0)
                told = time.monotonic()


def _end_of(file: Any) -> str:
    """What was written last; the file's place stays where its writer has it."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), 400, max(0, size - 400)).decode(errors="replace").strip()
