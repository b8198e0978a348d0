"""Reading a machine's serial log: waiting for a line, and its last lines.

Whole lines are looked at, without carriage returns and terminal control
sequences, so that a match is not cut off. Does not talk to the machine.
"""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

from drophammer import errors

POLL_SECONDS = 0.03
_CONTROL = re.compile(
    rb"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[78cDEHM=>]|[\r\x00-\x08\x0e-\x1a]"
)


@dataclasses.dataclass(frozen=True)
class Found:
    """A line that matched. ``at`` is wall-clock time in seconds, ``after`` since the wait began.

    ``offset`` is where the next line begins in the log: hand it to the next ``wait``.
    """

    line: str
    match: re.Match[str]
    at: float
    after: float
    offset: int


class SerialLog:
    """The serial log of one machine. The file may not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self) -> int:
        """Bytes written so far: an offset from which only later lines are seen."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def wait(
        self, pattern: str, timeout: float, offset: int = 0, unfinished: bool = False
    ) -> Found:
        """The first line from ``offset`` on in which ``pattern`` is found.

        With ``unfinished`` also in a line that has no end yet, such as a prompt.
        Raises DeadlineExceeded, with the last lines, after ``timeout`` seconds.
        """
        expression = re.compile(pattern)
        began = time.monotonic()
        rest = b""
        while True:
            late = time.monotonic() - began > timeout
            chunk = self._read(offset + len(rest)) if self.size() > offset + len(rest) else b""
            rest += chunk
            *lines, rest = rest.split(b"\n")
            for raw in lines:
                offset += len(raw) + 1
                line = clean(raw)
                if match := expression.search(line):
                    return Found(line, match, time.time(), time.monotonic() - began, offset)
            if unfinished and (match := expression.search(clean(rest))):
                end = offset + len(rest)
                return Found(clean(rest), match, time.time(), time.monotonic() - began, end)
            if late:
                raise errors.DeadlineExceeded(
                    f"no line with {pattern!r} in {self.path} within {timeout:g} s; it ends with:\n"
                    + self.tail()
                )
            time.sleep(POLL_SECONDS)

    def lines(self, offset: int = 0) -> list[str]:
        """All lines from ``offset`` on, the unfinished last one included."""
        return [clean(raw) for raw in self._read(offset).split(b"\n")]

    def tail(self, count: int = 30) -> str:
        """The last ``count`` lines that are not empty."""
        return "\n".join([line for line in self.lines() if line.strip()][-count:])

    def _read(self, offset: int) -> bytes:
        try:
            with open(self.path, "rb") as log:
                log.seek(offset)
                return log.read()
        except FileNotFoundError:
            return b""


def clean(raw: bytes) -> str:
    """A line of a serial port as text, without control sequences."""
    return _CONTROL.sub(b"", raw).decode("utf-8", "replace")
