"""A program run for its answer: without a shell, within a time, ended with all that it started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from drophammer.errors import DeadlineExceeded, Unavailable
from drophammer.text import readable
from netboot.services.process import environment

_LONGEST = 500
_LAST_WORDS_SECONDS = 1.0


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
    """What the program prints. ``through`` is a program that executes it, with its options.

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
    try:
        return child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # With its children: those hold the pipes open.
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate(timeout=_LAST_WORDS_SECONDS)
        said = _words(err, out)
        raise DeadlineExceeded(
            f"'{what}' did not come to an end within {seconds:g} s: {said}"
        ) from None


def _words(*streams: bytes) -> str:
    text = " ".join(" ".join(stream.decode("utf-8", "replace").split()) for stream in streams)
    return readable(text.strip(), _LONGEST) or "it said nothing"
