"""The operator's own download command, run without a shell in a folder of its own.

``wget --no-verbose`` or ``curl --fail --silent -O`` get the URL as their last argument and
leave the file in the folder they run in; a command with the words {url} and {output} gets
both where they stand.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from drophammer.errors import DeadlineExceeded, ImageError, Invalid, NotFound, Unavailable
from netboot.importing.egress import shown

_NOT_THERE = {"wget": (8,), "curl": (22, 37, 78)}
"""With these codes the programs say that there is no such file."""
_CURL_FAILS = re.compile(r"--fail(-with-body)?|-[A-Za-z]*f[A-Za-z]*")
_TOLD = 500


class CommandFetcher:
    """Runs ``argv`` for each URL."""

    def __init__(self, argv: Sequence[str], timeout: float) -> None:
        self._argv = list(argv)
        self._timeout = timeout
        self._program = os.path.basename(self._argv[0])

    def tag(self, url: str) -> str | None:
        """Nothing is known before it is fetched."""
        return None

    def fetch(self, url: str, out: BinaryIO, most: int) -> None:
        """Run the command and take the file it leaves. Raises domain errors."""
        self._check(url)
        with tempfile.TemporaryDirectory(prefix="drophammer-download-") as folder:
            name = unquote(urlsplit(url).path).rpartition("/")[2] or "index.html"
            if any("{output}" in word for word in self._argv):
                name = "content"
            code, told = self._run(self._filled(url, os.path.join(folder, name)), folder, most, url)
            if code:
                self._refuse(url, code, told, most)
            self._take(url, Path(folder, name), out, most)

    def _check(self, url: str) -> None:
        if self._program != "curl" or urlsplit(url).scheme == "file":
            return
        if not any(_CURL_FAILS.fullmatch(word) for word in self._argv[1:]):
            raise Invalid(
                "DOWNLOAD is curl without --fail: it would keep a server's error page as if it "
                "were the file. Add --fail to it."
            )

    def _filled(self, url: str, path: str) -> list[str]:
        words = [word.replace("{url}", url).replace("{output}", path) for word in self._argv]
        return words if any("{url}" in word for word in self._argv) else [*words, url]

    def _run(self, argv: list[str], folder: str, most: int, url: str) -> tuple[int, str]:
        with tempfile.TemporaryFile() as heard:
            try:
                child = subprocess.Popen(
                    argv,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=heard,
                    stderr=heard,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unavailable(
                    f"{shown(url)} was not fetched: the DOWNLOAD command {argv[0]!r} could not be "
                    f"started ({error.strerror}). Install it, or leave DOWNLOAD empty."
                ) from None
            try:
                with contextlib.suppress(OSError):
                    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (most, most))
                code = child.wait(self._timeout)
            except subprocess.TimeoutExpired:
                raise DeadlineExceeded(
                    f"{shown(url)} was not fetched: the DOWNLOAD command {self._program} had not "
                    f"ended after {self._timeout:g} s, and was."
                ) from None
            finally:
                # Its own children too; the group may be gone already.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            heard.seek(max(0, heard.seek(0, os.SEEK_END) - _TOLD))
            text = heard.read().decode(errors="replace")
        return code, "".join(c if c.isprintable() else " " for c in text).strip()

    def _refuse(self, url: str, code: int, told: str, most: int) -> None:
        if code == -signal.SIGXFSZ:
            raise ImageError(f"{shown(url)} was not taken: it has more than {most} bytes.")
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        sentence = f"the DOWNLOAD command {self._program} ended with {ended}: {told or 'no word'}"
        if code in _NOT_THERE.get(self._program, ()):
            raise NotFound(f"{shown(url)} was not found: {sentence}")
        raise ImageError(f"{shown(url)} could not be fetched: {sentence}")

    def _take(self, url: str, path: Path, out: BinaryIO, most: int) -> None:
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise ImageError(f"{shown(url)}: {self._program} left no plain file.")
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > most:
                    raise ImageError(f"{shown(url)} was not taken: it has more than {most} bytes.")
                shutil.copyfileobj(file, out, 1 << 20)
        except FileNotFoundError:
            raise ImageError(
                f"{shown(url)} could not be fetched: the DOWNLOAD command {self._program} ended "
                f"well and left no file {path.name!r} in the folder it was run in."
            ) from None
        except OSError as error:
            raise ImageError(f"{shown(url)} could not be kept: {error.strerror}.") from None
