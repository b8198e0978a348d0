"""A program run for its answer: without a shell, within a time, ended with all that it started."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

from drophammer.errors import DeadlineExceeded, Unavailable
from drophammer.text import readable
from netboot.services.process import environment

_LONGEST = 500
_LARGEST = 1 << 20
_AT_ONCE = 1 << 16


def find(program: str) -> str | None:
    """The full path of a program; administrators' programs too, which few PATHs have."""
    return shutil.which(program, path=environment()["PATH"])


def run(
    argv: Sequence[str],
    *,
    seconds: float,
    package: str,
    variables: Mapping[str, str] | None = None,
    through: Sequence[str] = (),
) -> str:
    """What the program prints, its first megabyte at most.

    ``through`` is a program that executes it, with its options.

    Raises Unavailable when it is not installed (``package`` has it) or ends with another code than
    0, with its own words, and DeadlineExceeded when it has not ended in time.
    """
    program = find(argv[0])
    if program is None:
        raise Unavailable(
            f"the program {argv[0]} is not installed here; install the package {package}"
        )
    what = readable(" ".join([*through, *argv]), _LONGEST)
    try:
        child = subprocess.Popen(
            [*through, program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            # A group of its own, so that what it started can be ended with it.
            start_new_session=True,
            env=environment(variables),
        )
    except OSError as error:
        raise Unavailable(f"'{what}' could not be run: {error.strerror}") from error
    with child:
        out, err = _outcome(child, what, seconds)
    if child.returncode:
        raise Unavailable(f"'{what}' ended with code {child.returncode}: {_words(err, out)}")
    return out.decode("utf-8", "replace")


def _outcome(child: subprocess.Popen[bytes], what: str, seconds: float) -> tuple[bytes, bytes]:
    """What it printed, once it has ended. Raises DeadlineExceeded, and ends it then."""
    limit = time.monotonic() + seconds
    assert child.stdout is not None
    assert child.stderr is not None
    out, err = bytearray(), bytearray()
    try:
        _read({child.stdout: out, child.stderr: err}, limit)
        child.wait(max(0.0, limit - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        # With its children. One that left the group may live, and holds the pipes: not read on.
        os.killpg(child.pid, signal.SIGKILL)
        raise DeadlineExceeded(
            f"'{what}' did not come to an end within {seconds:g} s: {_words(err, out)}"
        ) from None
    return bytes(out), bytes(err)


def _read(streams: Mapping[IO[bytes], bytearray], limit: float) -> None:
    """Read all until they are closed, and keep the beginning. Raises TimeoutError at ``limit``."""
    with selectors.DefaultSelector() as ready:
        for stream in streams:
            ready.register(stream, selectors.EVENT_READ)
        while ready.get_map():
            left = limit - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in ready.select(left):
                data = os.read(key.fd, _AT_ONCE)
                if not data:
                    ready.unregister(key.fileobj)
                kept = streams[key.fileobj]  # type: ignore[index]
                kept += data[: _LARGEST - len(kept)]


def _words(*streams: bytes | bytearray) -> str:
    # Their beginning: garbage grows many times over as text.
    heads = (stream[: 4 * _LONGEST].decode("utf-8", "replace") for stream in streams)
    text = " ".join(" ".join(head.split()) for head in heads)
    return readable(text.strip(), _LONGEST) or "it said nothing"
