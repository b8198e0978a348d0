"""The IPMI child process: ``python -m conductor.ipmi.worker``, driven over its standard input.

Reads requests as lines, hands them to ``lanes``, writes the answers as lines.
Ends when its input ends or its parent is gone. Not meant to be started by hand.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator

from conductor.ipmi.lanes import Lanes
from conductor.ipmi.protocol import (
    FromChild,
    Hello,
    Ping,
    Pong,
    Request,
    decode_for_child,
    encode,
)

_INPUT = 0


class _Output:
    """The answers' way out, one whole line at a time. Thread-safe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def post(self, message: FromChild) -> None:
        line = encode(message)
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except BrokenPipeError:
                os._exit(0)


class _Input:
    """Lines from the conductor, read as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(_INPUT, select.POLLIN)

    def lines(self, seconds: float) -> Iterator[bytes]:
        """Whole lines that arrive within ``seconds``, possibly none. EOFError at the end."""
        if not self._poll.poll(seconds * 1000):
            return
        chunk = os.read(_INPUT, 65536)
        if not chunk:
            raise EOFError
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        yield from lines


def _take_over_output() -> _Output:
    """Keeps standard output for the protocol; stray prints of libraries go to standard error."""
    output = _Output(os.dup(1))
    os.dup2(2, 1)
    return output


def _run(hello: Hello, source: _Input, output: _Output, early: list[bytes]) -> None:
    lanes = Lanes(output.post, hello.min_interval)
    pending = early
    try:
        while os.getppid() == hello.parent:
            for line in pending:
                match decode_for_child(line):
                    case Request() as request:
                        lanes.accept(request)
                    case Ping():
                        output.post(Pong())
            pending = list(source.lines(lanes.tick()))
    except EOFError:
        pass
    lanes.close()


def main() -> None:
    """Serves until the parent closes the pipe or dies."""
    output = _take_over_output()
    source = _Input()
    lines: list[bytes] = []
    while not lines:
        try:
            lines = list(source.lines(60.0))
        except EOFError:
            return
    hello = decode_for_child(lines[0])
    if not isinstance(hello, Hello):
        sys.exit("conductor.ipmi.worker is started by the conductor, not by hand")
    _run(hello, source, output, lines[1:])
    # Threads may still wait for BMCs; nobody waits for their answers any more.
    os._exit(0)


if __name__ == "__main__":
    main()
